-- Usages: { tat, fraction, count, period, burst, since, charged }, as Usage in the limiter. A key's value is these numbers in
-- this order.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- How long until nothing is in use: microseconds and a fraction.
local function left(usage)
  if usage.tat < now then return 0, 0 end
  return usage.tat - now, usage.fraction
end

local function level(usage)
  local micros, fraction = left(usage)
  local high, low = times(micros, usage.count)
  return plus(high, low, math.floor(fraction / BASE), fraction % BASE)
end

local function text(usage)
  return string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f',
    usage.tat, usage.fraction, usage.count, usage.period, usage.burst, usage.since, usage.charged)
end

-- Nothing is in use.
local function unused(count, period, burst)
  return { tat = 0, fraction = 0, count = count, period = period, burst = burst, since = 0, charged = 0 }
end

local function is_unused(usage)
  local micros, fraction = left(usage)
  return micros == 0 and fraction == 0
end

-- The same units in use, in the terms of another rate and rounded up: the time until they are paid back.
local function left_under(usage, count, period)
  if count == usage.count and period == usage.period then return left(usage) end
  local high, low = level(usage)
  high, low = scale(high, low, usage.period, period)
  return until_zero(high, low, count)
end

-- What the usage knows of its charges after another one: History in the limiter.
local function after_charge(usage, count, period, burst, cost)
  local counted = math.min(cost, burst)
  local charged = usage.charged + counted
  if is_unused(usage) or charged > MAX_CHARGED then return now, counted end
  if count == usage.count and period == usage.period then return usage.since, charged end
  return now, charged
end

-- The same units in use, under a rate if that is faster than the one of the last charge: Usage::sped_up of the limiter.
local function sped_up(usage, count, period, burst)
  local high, low = times(usage.period, count)
  if not exceeds(high, low, times(period, usage.count)) or is_unused(usage) then return usage, false end
  local micros, fraction = left_under(usage, count, period)
  return {
    tat = now + micros, fraction = fraction, count = count, period = period, burst = math.max(burst, usage.burst),
    since = now, charged = usage.charged,
  }, true
end

-- At most the burst is in use: the clock may have gone back, or another server's clock was ahead. Whether it was more.
local function bound(usage)
  local micros = left(usage)
  local full_high, full_low = times(usage.period, usage.burst)
  if micros <= MAX_REFILL then
    local high, low = level(usage)
    if not exceeds(high, low, full_high, full_low) then return false end
  end
  micros, usage.fraction = until_zero(full_high, full_low, usage.count)
  usage.tat = now + micros
  return true
end

-- It expires when nothing is in use.
local function write(key, usage)
  redis.call('SET', key, text(usage), 'PXAT', string.format('%.0f', math.floor(usage.tat / 1000) + 1))
end

-- The usage of a key, and its value. A value that is no usage counts as none, and the next charge replaces it. A bounded usage is
-- stored, also if the request is refused: it refills from now on, and not only once the clock has caught up.
local function read(key)
  local value = redis.pcall('GET', key)
  if type(value) ~= 'string' or #value > 120 then return nil end
  local tat, fraction, count, period, burst, since, charged =
    string.match(value, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not tat then return nil end
  local usage = {
    tat = tonumber(tat), fraction = tonumber(fraction), count = tonumber(count), period = tonumber(period), burst = tonumber(burst),
    since = tonumber(since), charged = tonumber(charged),
  }
  local is_usage = usage.tat < 9007199254740992 and usage.count >= 1 and usage.count <= 1000000000 and usage.fraction < usage.count
    and usage.period >= 1000 and usage.period <= MAX_REFILL and usage.burst >= 1 and usage.burst <= 1000000000
    and usage.burst * usage.period <= MAX_REFILL * usage.count
    and usage.since < 9007199254740992 and usage.charged <= MAX_CHARGED
  if not is_usage then return nil end
  if bound(usage) then
    value = text(usage)
    write(key, usage)
  end
  return usage, value
end
