// Makes every kind of gRPC call to the server grpc_echo, as grpc_calls.py does in Python.
//
//	grpc_calls ADDRESS CERTIFICATE|- MESSAGES
//
// Prints a line for each kind of call; fails where an answer is wrong.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Messages without protobuf.
type raw struct{}

func (raw) Name() string                  { return "proto" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func check(what string, got, wanted any) {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		fmt.Printf("%s: %v, not %v\n", what, got, wanted)
		os.Exit(1)
	}
	fmt.Println(what)
}

func must(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

var codec = grpc.ForceCodec(raw{})

func main() {
	address, certificate := os.Args[1], os.Args[2]
	messages, err := strconv.Atoi(os.Args[3])
	must("the number of messages", err)
	security := grpc.WithInsecure()
	if certificate != "-" {
		trusted, err := credentials.NewClientTLSFromFile(certificate, "localhost")
		must("the certificate", err)
		security = grpc.WithTransportCredentials(trusted)
	}
	connection, err := grpc.Dial("passthrough:///"+address, security)
	must("a connection", err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	unary := func(ctx context.Context, method, message string, options ...grpc.CallOption) (string, error) {
		sent, got := []byte(message), []byte(nil)
		err := connection.Invoke(ctx, method, &sent, &got, append(options, codec)...)
		return string(got), err
	}
	stream := func(ctx context.Context, method string) grpc.ClientStream {
		kind := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
		stream, err := connection.NewStream(ctx, kind, method, codec)
		must(method, err)
		return stream
	}
	send := func(stream grpc.ClientStream, message string) {
		sent := []byte(message)
		must("a message", stream.SendMsg(&sent))
	}
	receive := func(stream grpc.ClientStream) string {
		var got []byte
		must("an answer", stream.RecvMsg(&got))
		return string(got)
	}

	for i := 0; i < 200; i++ {
		got, err := unary(ctx, "/echo.Echo/Echo", strconv.Itoa(i))
		must("unary", err)
		if got != strconv.Itoa(i) {
			check("unary", got, i)
		}
	}
	fmt.Println("200 unary calls")

	large := string(bytes.Repeat([]byte("0123456789abcdef"), 3<<16))
	got, err := unary(ctx, "/echo.Echo/Echo", large)
	must("a message of 3 MiB", err)
	check("a message of 3 MiB", got == large, true)

	count := stream(ctx, "/echo.Echo/Count")
	for i := 0; i < messages; i++ {
		send(count, "message")
	}
	must("the end", count.CloseSend())
	what := fmt.Sprintf("%d messages by client streaming", messages)
	check(what, receive(count), fmt.Sprintf("%d %d", messages, 7*messages))

	repeat := stream(ctx, "/echo.Echo/Repeat")
	send(repeat, strconv.Itoa(messages))
	must("the end", repeat.CloseSend())
	for i := 0; i < messages; i++ {
		if got := receive(repeat); got != strconv.Itoa(i) {
			check("server streaming", got, i)
		}
	}
	var rest []byte
	check(fmt.Sprintf("%d messages by server streaming", messages), repeat.RecvMsg(&rest), io.EOF)

	both := stream(ctx, "/echo.Echo/Echo")
	for i := 0; i < 100; i++ {
		send(both, strconv.Itoa(i))
		if got := receive(both); got != strconv.Itoa(i) {
			check("a bidirectional stream", got, i)
		}
	}
	must("the end", both.CloseSend())
	check("a bidirectional stream", both.RecvMsg(&rest), io.EOF)

	_, err = unary(ctx, "/echo.Echo/None", "")
	check("an unknown method", status.Code(err), codes.Unimplemented)
	begun := time.Now()
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	_, err = unary(short, "/echo.Echo/Slow", "")
	stop()
	check("a deadline", status.Code(err), codes.DeadlineExceeded)
	check("after 0.3 s", time.Since(begun) < 1500*time.Millisecond, true)

	var initial, trailing metadata.MD
	pairs := metadata.AppendToOutgoingContext(ctx,
		"x-grpc-test-echo-initial", "initial", "x-grpc-test-echo-trailing-bin", "\x00\xff")
	_, err = unary(pairs, "/echo.Echo/Echo", "", grpc.Header(&initial), grpc.Trailer(&trailing))
	must("metadata", err)
	check("metadata", initial.Get("x-grpc-test-echo-initial"), []string{"initial"})
	check("binary metadata", trailing.Get("x-grpc-test-echo-trailing-bin"), []string{"\x00\xff"})

	health, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	must("health", err)
	check("health: SERVING", health.Status, grpc_health_v1.HealthCheckResponse_SERVING)

	for i := 0; i < 100; i++ {
		ctx, cancel := context.WithCancel(ctx)
		canceled := stream(ctx, "/echo.Echo/Echo")
		send(canceled, "one")
		receive(canceled)
		cancel()
		check := status.Code(canceled.RecvMsg(&rest))
		if check != codes.Canceled {
			must("a call that was canceled", fmt.Errorf("%v", check))
		}
	}
	got, err = unary(ctx, "/echo.Echo/Echo", "well")
	must("a call after 100 that were canceled", err)
	check("a call after 100 that were canceled", got, "well")
	must("the end", connection.Close())
}
