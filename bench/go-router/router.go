package main

import (
	"encoding/json"
	"fmt"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// The routing header: the routes match on it.
const routingHeader = "x-cell"

// A router serves Envoy's streams, one for each request.
type router struct {
	extproc.UnimplementedExternalProcessorServer
	// The cell of each tenant.
	cells map[string]string
}

// Process sends exactly one response for each message of a request.
func (r *router) Process(stream extproc.ExternalProcessor_ProcessServer) error {
	for {
		message, err := stream.Recv()
		if err != nil {
			// Envoy closes or resets a finished stream, so this is not an error.
			return nil
		}
		if err := stream.Send(r.answer(message)); err != nil {
			return err
		}
	}
}

// answer continues every message, and sets a request's cell when it has the body.
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
		// The request headers: Envoy does not send response messages.
		headers := &extproc.ProcessingResponse_RequestHeaders{RequestHeaders: &extproc.HeadersResponse{}}
		return &extproc.ProcessingResponse{Response: headers}
	}
}

// cellOf returns the cell of the tenant in a body, or "" if the body is not JSON, has no tenant, or the tenant has no
// cell. It takes the last of two keys.
func (r *router) cellOf(body []byte) string {
	var document map[string]any
	if err := json.Unmarshal(body, &document); err != nil {
		return ""
	}
	tenant, _ := document["tenant"].(map[string]any)
	id, _ := tenant["id"].(string)
	return r.cells[id]
}

// routeTo replaces or removes the client's routing header and makes Envoy select the route again.
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
