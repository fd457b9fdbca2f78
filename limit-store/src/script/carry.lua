-- Charges units that were used already, whether they fit or not: Usage::carry of the limiter.
-- KEYS: the key. ARGV: the count, the period and the burst of the charge's limit, and the units.
local usage = read(KEYS[1])
if not usage or is_unused(usage) then usage = unused(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])) end
local units = math.min(tonumber(ARGV[4]), usage.burst)
local since, charged = after_charge(usage, usage.count, usage.period, usage.burst, units)

-- More than the burst changes nothing, and would be inexact.
local high, low = level(usage)
high, low = plus(high, low, times(usage.period, units))
local full_high, full_low = times(usage.period, usage.burst)
if exceeds(high, low, full_high, full_low) then high, low = full_high, full_low end
local micros
micros, usage.fraction = until_zero(high, low, usage.count)
usage.tat, usage.since, usage.charged = now + micros, since, charged
write(KEYS[1], usage)
return 1
