-- Finds the field of a form with a plain search for its name, then with a pattern at the match. It takes the first field
-- of this name, finds the name in a file too, and does not know the boundary.
local find, match = string.find, string.match

local function tenant_of(text)
  local first, last = 0, 0
  while true do
    first, last = find(text, 'name="tenant"', last + 1, true)
    if not first then
      return nil
    end
    local id = match(text, '^\r\n\r\n([^\r\n]*)\r\n', last + 1)
    if id then
      return id
    end
  end
end
