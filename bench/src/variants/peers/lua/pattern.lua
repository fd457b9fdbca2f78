-- The tenant by one pattern: what everybody writes first.
local function tenant_of(text)
  return string.match(text, '"tenant"%s*:%s*{%s*"id"%s*:%s*"([^"\\]*)"')
end
