// HTTP/1.1 by Go's net/http: http1_calls URL FILE. Three pages on one connection, and a chunked body.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	url := os.Args[1]
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	connections := 0
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}},
		// No HTTP/2.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			connections++
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}}
	read := func(response *http.Response, err error) []byte {
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		received, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 || response.Proto != "HTTP/1.1" {
			log.Fatal(err, response.Status, response.Proto)
		}
		return received
	}
	for i := 0; i < 3; i++ {
		read(client.Get(url + "/"))
	}
	// A reader of unknown length is sent in chunks.
	echo := read(client.Post(url+"/echo", "text/plain", io.MultiReader(bytes.NewReader(body))))
	if connections != 1 || !bytes.Equal(echo, body) {
		log.Fatal(connections, " connections, ", len(echo), " bytes")
	}
	fmt.Println("three pages on one connection, the same body")
}
