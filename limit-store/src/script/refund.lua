-- Gives back a part of a charge: Usage::refund of the limiter.
-- KEYS: the key. ARGV: the units, the time of the charge, and the units that were charged with it since the key was unused, or -1.
-- Returns the time, 1, and what the key had before: the value, or ''.
local usage, value = read(KEYS[1])
if not usage then return { now, 1, '' } end
local units, at, charged = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local elapsed = now - at
if at < usage.since or elapsed < 0 or elapsed >= MAX_REFILL then return { now, 1, value } end

local level_high, level_low = level(usage)
local part_high, part_low = times(usage.period, units)
-- The part, less all that was paid back since.
local high, low = minus(part_high, part_low, times(elapsed, usage.count))
-- What is in use, less all that was charged later, and at most the part. More than any burst cannot be in use.
local later = usage.charged - charged
if charged >= 0 and later >= 0 and later <= 1000000000 then
  local kept_high, kept_low = minus(level_high, level_low, times(usage.period, later))
  if exceeds(kept_high, kept_low, part_high, part_low) then kept_high, kept_low = part_high, part_low end
  if exceeds(kept_high, kept_low, high, low) then high, low = kept_high, kept_low end
end

high, low = minus(level_high, level_low, high, low)
local micros
micros, usage.fraction = until_zero(high, low, usage.count)
usage.tat = now + micros
if is_unused(usage) then
  redis.call('DEL', KEYS[1])
else
  write(KEYS[1], usage)
end
return { now, 1, value }
