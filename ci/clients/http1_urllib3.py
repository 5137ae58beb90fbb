"""HTTP/1.1 by urllib3: http1_urllib3.py URL FILE. Three pages on one connection, and a chunked body."""

import sys
from pathlib import Path

import urllib3

urllib3.disable_warnings()
url, file = sys.argv[1:]
body = Path(file).read_bytes()
pool = urllib3.connectionpool.connection_from_url(
    url, maxsize=1, block=True, **({"cert_reqs": "CERT_NONE"} if url.startswith("https") else {})
)
for _ in range(3):
    page = pool.request("GET", "/")
    assert page.status == 200 and page.version == 11, page
pieces = (body[at : at + 60_000] for at in range(0, len(body), 60_000))
echo = pool.request("POST", "/echo", body=pieces)
assert pool.num_connections == 1, pool.num_connections
assert echo.data == body, len(echo.data)
print("three pages on one connection, the same body")
