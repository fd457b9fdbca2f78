-- Finds the tenant with a plain search, then with a pattern at the match: the fastest way that we know. LuaJIT matches a
-- pattern byte by byte, but searches a plain text with memchr. The text is the key without its first quote, because JSON
-- has many quotes and each would stop memchr.
local find, match, byte = string.find, string.match, string.byte

local function tenant_of(text)
  local first, last = 0, 0
  while true do
    first, last = find(text, 'tenant"', last + 1, true)
    if not first then
      return nil
    end
    if first > 1 and byte(text, first - 1) == 34 then
      local id = match(text, '^%s*:%s*{%s*"id"%s*:%s*"([^"\\]*)"', last + 1)
      if id then
        return id
      end
    end
  end
end
