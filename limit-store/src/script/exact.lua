-- Exact integers. Lua's numbers are doubles, exact to 2^53, and a level has up to 75 bits. So a level is a pair: high * BASE + low.
-- Bounds: a time is less than 2^45 microseconds (366 days), a count or a burst less than 2^30, a period at most 366 days.
local BASE = 8388608 -- 2^23
local MAX_REFILL = 31622400000000
local MAX_CHARGED = 4503599627370496 -- 2^52

-- A time or a period, times a count or units.
local function times(time, units)
  local high = math.floor(time / BASE)
  local low = (time - high * BASE) * units
  local carry = math.floor(low / BASE)
  return high * units + carry, low - carry * BASE
end

local function plus(high, low, more_high, more_low)
  low = low + more_low
  if low >= BASE then return high + more_high + 1, low - BASE end
  return high + more_high, low
end

-- Not below 0.
local function minus(high, low, less_high, less_low)
  if high < less_high or (high == less_high and low <= less_low) then return 0, 0 end
  if low < less_low then return high - less_high - 1, low - less_low + BASE end
  return high - less_high, low - less_low
end

local function exceeds(high, low, other_high, other_low)
  return high > other_high or (high == other_high and low > other_low)
end

-- A level as the time until it is 0: microseconds, and a fraction with the count as its denominator.
local function until_zero(high, low, count)
  local quotient = math.floor(high / count)
  local rest = (high - quotient * count) * BASE + low
  local micros = math.floor(rest / count)
  return quotient * BASE + micros, rest - micros * count
end

-- level * to / from, rounded up: long division, 7 bits at a time.
local function scale(high, low, from, to)
  if from == to then return high, low end
  local quotient_high, quotient_low, rest = 0, 0, 0
  local function digit(base, value)
    rest = rest * base + value * to
    local quotient = math.floor(rest / from)
    rest = rest - quotient * from
    quotient_low = quotient_low * base + quotient
    local carry = math.floor(quotient_low / BASE)
    quotient_high = quotient_high * base + carry
    quotient_low = quotient_low - carry * BASE
  end
  for place = 7, 0, -1 do digit(128, math.floor(high / 128 ^ place) % 128) end
  digit(4, math.floor(low / 2097152)) -- 2^21
  digit(128, math.floor(low / 16384) % 128)
  digit(128, math.floor(low / 128) % 128)
  digit(128, low % 128)
  if rest > 0 then return plus(quotient_high, quotient_low, 0, 1) end
  return quotient_high, quotient_low
end
