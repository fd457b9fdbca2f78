-- Finds the tenant with one pattern, the obvious solution.
local function tenant_of(text)
  return string.match(text, '"tenant"%s*:%s*{%s*"id"%s*:%s*"([^"\\]*)"')
end
