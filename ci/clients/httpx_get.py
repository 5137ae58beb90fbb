"""GET by httpx: httpx_get.py URL h2|http/1.1. Prints the negotiated protocol."""

import ssl
import sys

import httpx

url, offer = sys.argv[1:]
http2 = offer == "h2"
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
try:
    with httpx.Client(http1=not http2, http2=http2, verify=context, trust_env=False) as client:
        response = client.get(url)
        tls = response.extensions["network_stream"].get_extra_info("ssl_object")
        print(f"negotiated {tls.selected_alpn_protocol()} {tls.version()} {response.status_code}")
except httpx.HTTPError as error:
    print(f"failed {error}")
