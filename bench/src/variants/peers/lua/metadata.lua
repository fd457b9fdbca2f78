-- Sets a request's cell by the tenant that grpc_field_extraction has found. `cells` is defined before this code.
function envoy_on_request(handle)
  local found = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.grpc_field_extraction")
  -- One value for each time that the field stands in the message.
  local ids = found and found["tenant"]
  local cell = ids and cells[ids[1]]
  if cell then
    handle:headers():replace("x-cell", cell)
  else
    handle:headers():remove("x-cell")
  end
end
