-- Judges the charges of a request at one moment, and stores all of them or none: charge_all of the limiter.
-- KEYS: the key of each charge. ARGV: 10 numbers for each charge.
-- Returns the time, whether the request is admitted, and for each charge what its key had before: the value, or ''.
local FIELDS = 10

-- Adds a cost under a limit: units, and the time that they take, in microseconds and a fraction.
local function add(usage, count, period, burst, cost, micros, fraction)
  local old_micros, old_fraction = left_under(usage, count, period)
  local since, charged = after_charge(usage, count, period, burst, cost)
  fraction = fraction + old_fraction
  if fraction >= count then
    fraction = fraction - count
    micros = micros + 1
  end
  return {
    tat = now + old_micros + micros, fraction = fraction, count = count, period = period, burst = burst,
    since = since, charged = charged,
  }
end

local before, usages, carried, charged, stored, refusals = {}, {}, {}, {}, {}, {}
local admitted = true
for place, key in ipairs(KEYS) do
  local function field(number) return tonumber(ARGV[(place - 1) * FIELDS + number]) end
  local count, period, burst = field(1), field(2), field(3)
  local cost, cost_micros, cost_fraction = field(4), field(5), field(6)
  local room_micros, room_fraction = field(7), field(8)
  local enforced, carry = field(9) == 1, field(10)

  local usage, value = usages[key], ''
  if not usage then
    usage, value = read(key)
    usage = usage or unused(count, period, burst)
    if carry > 0 then
      local high, low = times(period, carry)
      usage = add(usage, count, period, burst, carry, until_zero(high, low, count))
      bound(usage)
      value = text(usage)
      carried[key] = usage
    end
    stored[key] = usage
  end
  before[place] = value or ''

  local fits
  if cost == 0 then
    fits = true
  elseif room_micros < 0 then
    fits = false
  elseif count == usage.count and period == usage.period then
    local micros, fraction = left(usage)
    fits = micros < room_micros or (micros == room_micros and fraction <= room_fraction)
  else
    local high, low = level(usage)
    fits = not exceeds(high, low, times(usage.period, burst - cost))
  end
  if fits and cost > 0 then
    usage = add(usage, count, period, burst, cost, cost_micros, cost_fraction)
    charged[key] = usage
  elseif not fits then
    if enforced then admitted = false end
    if room_micros >= 0 then
      usage = sped_up(usage, count, period, burst)
      table.insert(refusals, { key = key, count = count, period = period, burst = burst })
    end
  end
  usages[key] = usage
end

local changed = carried
if admitted then
  for key, usage in pairs(charged) do changed[key] = usage end
end
-- A refusal charges nothing, but a faster rate takes force.
for _, refusal in ipairs(refusals) do
  local key = refusal.key
  local usage, has_changed = sped_up(changed[key] or stored[key], refusal.count, refusal.period, refusal.burst)
  if has_changed then changed[key] = usage end
end
for key, usage in pairs(changed) do write(key, usage) end
return { now, admitted and 1 or 0, unpack(before) }
