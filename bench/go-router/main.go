// Program go-router is an ext-proc service as they are usually written in Go: Envoy buffers the body (BUFFERED),
// encoding/json parses all of it into maps, and the value at /tenant/id picks the cell.
//
// It is what Cellgate's service is compared with, so it does nothing needless: one process, no log for a request, and
// Go's own defaults for threads and garbage collection.
//
//	go-router acme=cell-b globex=cell-c
//
// prints "listening on ADDRESS" once it takes connections, and serves until it is killed.
package main

import (
	"fmt"
	"net"
	"os"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
)

// Above every body that Envoy buffers: gRPC's own limit is 4 MiB.
const maxMessage = 16 * 1024 * 1024

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-router:", err)
		os.Exit(2)
	}
}

func run(arguments []string) error {
	cells, err := parseCells(arguments)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage))
	extproc.RegisterExternalProcessorServer(server, &router{cells: cells})
	fmt.Println("listening on", listener.Addr())
	return server.Serve(listener)
}
