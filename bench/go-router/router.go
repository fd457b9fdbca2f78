package main

import (
	"encoding/json"
	"fmt"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// The header that the routes go by.
const routingHeader = "x-cell"

// A router answers Envoy's streams, one for each request.
type router struct {
	extproc.UnimplementedExternalProcessorServer
	// Tenants and their cells.
	cells map[string]string
}

// Process answers the messages about one request, each with exactly one.
func (r *router) Process(stream extproc.ExternalProcessor_ProcessServer) error {
	for {
		message, err := stream.Recv()
		if err != nil {
			// Envoy ends a finished stream by closing or resetting it: there is nobody left to tell.
			return nil
		}
		if err := stream.Send(r.answer(message)); err != nil {
			return err
		}
	}
}

// answer lets everything pass, and gives a request its cell when its body is there.
func (r *router) answer(message *extproc.ProcessingRequest) *extproc.ProcessingResponse {
	switch request := message.Request.(type) {
	case *extproc.ProcessingRequest_RequestBody:
		common := routeTo(r.cellOf(request.RequestBody.GetBody()))
		body := &extproc.BodyResponse{Response: common}
		return &extproc.ProcessingResponse{Response: &extproc.ProcessingResponse_RequestBody{RequestBody: body}}
	case *extproc.ProcessingRequest_RequestTrailers:
		trailers := &extproc.ProcessingResponse_RequestTrailers{RequestTrailers: &extproc.TrailersResponse{}}
		return &extproc.ProcessingResponse{Response: trailers}
	default:
		// Headers; Envoy is told to send nothing of the response.
		headers := &extproc.ProcessingResponse_RequestHeaders{RequestHeaders: &extproc.HeadersResponse{}}
		return &extproc.ProcessingResponse{Response: headers}
	}
}

// cellOf gives the cell of the tenant in a body, or "" for a body that is no JSON, names no tenant, or one that has no
// cell. A key that is written twice counts as what is written last.
func (r *router) cellOf(body []byte) string {
	var document map[string]any
	if err := json.Unmarshal(body, &document); err != nil {
		return ""
	}
	tenant, _ := document["tenant"].(map[string]any)
	id, _ := tenant["id"].(string)
	return r.cells[id]
}

// routeTo makes Envoy pick the route again, by the cell alone: what the client said about it is replaced or removed.
func routeTo(cell string) *extproc.CommonResponse {
	headers := &extproc.HeaderMutation{RemoveHeaders: []string{routingHeader}}
	if cell != "" {
		headers = &extproc.HeaderMutation{SetHeaders: []*core.HeaderValueOption{{
			Header:       &core.HeaderValue{Key: routingHeader, RawValue: []byte(cell)},
			AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}}}
	}
	return &extproc.CommonResponse{HeaderMutation: headers, ClearRouteCache: true}
}

// parseCells reads TENANT=CELL arguments.
func parseCells(arguments []string) (map[string]string, error) {
	cells := make(map[string]string, len(arguments))
	for _, argument := range arguments {
		tenant, cell, found := strings.Cut(argument, "=")
		if !found || tenant == "" || cell == "" {
			return nil, fmt.Errorf("%q is not TENANT=CELL", argument)
		}
		cells[tenant] = cell
	}
	return cells, nil
}
