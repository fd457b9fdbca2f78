-- Gives a request the cell of its tenant. `cells` and `tenant_of` stand before this, made once in each worker.
--
-- What it gets wrong, because it does not parse:
--   * it takes the first "tenant" key at any depth and in any array: the tenant in an order's line wins over the
--     request's own, if it stands before it;
--   * of a key that is written twice it takes the first, where most servers take the last;
--   * an escaped key ("t\u0065nant") or value is not found;
--   * an "id" that is not the first member of its object is not found;
--   * a document that is cut off, or is no JSON at all, is routed like a good one.
-- A request whose tenant is not found goes on without a cell, so that the routes refuse it.

function envoy_on_request(handle)
  -- Waits until Envoy holds the whole body; nil if there is none.
  local body = handle:body()
  -- The only copy of the body.
  local id = body and tenant_of(body:getBytes(0, body:length()))
  local cell = id and cells[id]
  -- Either makes Envoy pick the route again.
  if cell then
    handle:headers():replace("x-cell", cell)
  else
    handle:headers():remove("x-cell")
  end
end
