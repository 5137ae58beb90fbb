"""A WebSocket by Python's websockets: websocket_client.py URL. Text, 1 MiB and a close are echoed."""

import ssl
import sys

from websockets.sync.client import connect

url = sys.argv[1]
tls = None
if url.startswith("wss:"):
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
with connect(url, ssl=tls, proxy=None, max_size=None) as socket:
    version = socket.recv()
    for sent in ("Grüße, 世界", bytes(range(251)) * 4178, [b"in ", b"three ", b"frames"]):
        socket.send(sent)
        expected = b"".join(sent) if isinstance(sent, list) else sent
        echo = socket.recv()
        assert echo == expected, len(echo)
    assert socket.ping().wait(10), "no pong"
    socket.close(4000, "done")
    close = socket.protocol.close_rcvd
print(f"{version}, echoed, clean {close.code} {close.reason}")
