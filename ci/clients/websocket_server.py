"""A WebSocket server by Python's websockets, which compresses: it sends its version of HTTP, then the echo.

`/` is a page. It stops at the end of its standard input.
"""

import sys
from http import HTTPStatus
from threading import Thread

from websockets.sync.server import serve


def page(connection, request):
    return connection.respond(HTTPStatus.OK, "page\n") if request.path == "/" else None


def echo(socket):
    socket.send("HTTP/1.1")
    for message in socket:
        socket.send(message)


with serve(echo, "127.0.0.1", 0, process_request=page, max_size=None) as server:
    print(f"listening on 127.0.0.1:{server.socket.getsockname()[1]}", flush=True)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()
