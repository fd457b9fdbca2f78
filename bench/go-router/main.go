// Program go-router is a simple ext-proc service in Go, for comparison with Cellgate's: Envoy buffers the body
// (BUFFERED), encoding/json parses it into maps, and the value at /tenant/id selects the cell.
//
// To be a fair comparison, it does nothing unnecessary: one process, no request log, and Go's defaults for threads and
// garbage collection.
//
//	go-router acme=cell-b globex=cell-c
//
// prints "listening on ADDRESS" when it accepts connections, and serves until it is killed.
package main

import (
	"fmt"
	"net"
	"os"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
)

// The message size limit, above every body that Envoy buffers. gRPC's default is 4 MiB.
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
