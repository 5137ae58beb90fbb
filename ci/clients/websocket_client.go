// A WebSocket by golang.org/x/net: websocket_client.go URL. Text and 1 MiB are echoed.
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log"
	"os"

	"golang.org/x/net/websocket"
)

func main() {
	config, err := websocket.NewConfig(os.Args[1], "http://localhost/")
	check(err)
	config.TlsConfig = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	socket, err := websocket.DialConfig(config)
	check(err)
	var version, text string
	check(websocket.Message.Receive(socket, &version))
	check(websocket.Message.Send(socket, "Grüße, 世界"))
	check(websocket.Message.Receive(socket, &text))
	sent, echo := bytes.Repeat([]byte("0123456789abcdef"), 1<<16), []byte{}
	check(websocket.Message.Send(socket, sent))
	check(websocket.Message.Receive(socket, &echo))
	if text != "Grüße, 世界" || !bytes.Equal(echo, sent) {
		log.Fatal("another echo")
	}
	check(socket.WriteClose(4000))
	var end string
	if err := websocket.Message.Receive(socket, &end); err == nil {
		log.Fatal("bytes after the close")
	}
	fmt.Printf("%s, echoed, clean\n", version)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
