// GETs by Go's net/http, each on a connection of its own: http2_resume 1.2|1.3. Reads a URL from each line
// of its input and prints whether the session resumed.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
)

func main() {
	version := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[os.Args[1]]
	sessions := tls.NewLRUClientSessionCache(1)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{
				InsecureSkipVerify: true,
				ServerName:         "localhost",
				MinVersion:         version,
				MaxVersion:         version,
				ClientSessionCache: sessions,
			},
			ForceAttemptHTTP2: true,
		}
		response, err := (&http.Client{Transport: transport}).Get(lines.Text())
		if err != nil {
			fmt.Println("failed", err)
			continue
		}
		response.Body.Close()
		fmt.Println(response.TLS.DidResume, response.Proto, response.StatusCode)
		transport.CloseIdleConnections()
	}
}
