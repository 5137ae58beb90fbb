"""HTTP/1.1 by requests: http1_calls.py URL FILE. Three pages on one connection, and a chunked body."""

import sys
import warnings
from pathlib import Path

import requests

warnings.simplefilter("ignore")
url, file = sys.argv[1:]
body = Path(file).read_bytes()
session = requests.Session()
session.verify = False
session.trust_env = False
for _ in range(3):
    page = session.get(f"{url}/")
    assert page.status_code == 200 and page.raw.version == 11, page
pieces = (body[at : at + 60_000] for at in range(0, len(body), 60_000))
echo = session.post(f"{url}/echo", data=pieces)
pools = session.get_adapter(url).poolmanager.pools
# The container is no iterable.
keys = list(pools.keys())
connections = sum(pools[key].num_connections for key in keys)
assert connections == 1, connections
assert echo.content == body, len(echo.content)
print("three pages on one connection, the same body")
