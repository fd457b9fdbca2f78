-- Sets a request's cell by its tenant. `cells` and `tenant_of` are defined before this code, once in each worker.
--
-- Its faults, because it does not parse:
--   * it takes the first "tenant" key at any depth and in any array, such as the tenant of an order line before the
--     request's own;
--   * it takes the first of two keys, where most servers take the last;
--   * it does not find an escaped key ("t\u0065nant") or value;
--   * it does not find an "id" that is not the first member of its object;
--   * of NDJSON it reads the first record only;
--   * it routes a document that is truncated or malformed like a valid one.
-- A request without a tenant continues without a cell, and the routes reject it.

function envoy_on_request(handle)
  -- Waits until Envoy has the whole body; nil if there is none.
  local body = handle:body()
  -- The only copy of the body.
  local id = body and tenant_of(body:getBytes(0, body:length()))
  local cell = id and cells[id]
  -- Both make Envoy select the route again.
  if cell then
    handle:headers():replace("x-cell", cell)
  else
    handle:headers():remove("x-cell")
  end
end
