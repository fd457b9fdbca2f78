package main

import (
	"testing"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

func TestCellOf(t *testing.T) {
	r := &router{cells: map[string]string{"acme": "cell-b"}}
	cells := map[string]string{
		`{"tenant":{"id":"acme"}}`:                     "cell-b",
		`{"tenant":{"id":"a\u0063me"},"x":1}`:          "cell-b",
		`{"tenant":{"id":"x"},"tenant":{"id":"acme"}}`: "cell-b",
		`{"tenant":{"id":"stranger"}}`:                 "",
		`{"tenant":{"id":7}}`:                          "",
		`{"tenant":"acme"}`:                            "",
		`{"order":{"tenant":{"id":"acme"}}}`:           "",
		`["tenant"]`:                                   "",
		`{"tenant":{"id":"acme"}`:                      "",
		``:                                             "",
	}
	for body, cell := range cells {
		if got := r.cellOf([]byte(body)); got != cell {
			t.Errorf("%s: %q, not %q", body, got, cell)
		}
	}
}

func TestAnswerReplacesOrRemovesTheHeader(t *testing.T) {
	r := &router{cells: map[string]string{"acme": "cell-b"}}
	answer := func(body string) *extproc.CommonResponse {
		sent := &extproc.HttpBody{Body: []byte(body), EndOfStream: true}
		request := &extproc.ProcessingRequest_RequestBody{RequestBody: sent}
		return r.answer(&extproc.ProcessingRequest{Request: request}).GetRequestBody().GetResponse()
	}
	known := answer(`{"tenant":{"id":"acme"}}`)
	set := known.GetHeaderMutation().GetSetHeaders()
	if len(set) != 1 || string(set[0].GetHeader().GetRawValue()) != "cell-b" || !known.GetClearRouteCache() {
		t.Errorf("a known tenant: %v", known)
	}
	unknown := answer(`{}`)
	removed := unknown.GetHeaderMutation().GetRemoveHeaders()
	if len(removed) != 1 || removed[0] != routingHeader || !unknown.GetClearRouteCache() {
		t.Errorf("no tenant: %v", unknown)
	}
}

func TestParseCells(t *testing.T) {
	cells, err := parseCells([]string{"acme=cell-b", "globex=cell-c"})
	if err != nil || len(cells) != 2 || cells["globex"] != "cell-c" {
		t.Errorf("%v, %v", cells, err)
	}
	for _, wrong := range []string{"acme", "=cell-b", "acme="} {
		if _, err := parseCells([]string{wrong}); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}
