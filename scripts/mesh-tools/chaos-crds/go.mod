module cellgate.test/chaos-crds

go 1.26.0

require github.com/chaos-mesh/chaos-mesh v0.9.1-0.20260902003049-47411975a8cb
