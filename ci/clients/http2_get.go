// GET by Go's net/http: http2_get URL OFFER. Prints the negotiated protocol.
package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
)

func main() {
	url, offer := os.Args[1], os.Args[2]
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"},
		// Adds h2 and http/1.1 to the offered protocols.
		ForceAttemptHTTP2: offer == "h2,http/1.1",
	}
	if offer != "h2,http/1.1" && offer != "none" {
		transport.TLSClientConfig.NextProtos = strings.Split(offer, ",")
	}
	response, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	response.Body.Close()
	version := map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}
	protocol := response.TLS.NegotiatedProtocol
	fmt.Println("negotiated", protocol, version[response.TLS.Version], response.Proto, response.StatusCode)
}
