"""Makes every kind of gRPC call to the server grpc_echo. grpc_calls.go does the same in Go.

    grpc_calls.py ADDRESS CERTIFICATE|- MESSAGES SILENCE

Streams carry MESSAGES messages. A bidirectional stream is silent for SILENCE seconds while the client
sends PING every ten. Prints a line for each kind of call; fails where an answer is wrong.
"""

import queue
import sys
import time

import grpc

address, certificate, messages, silence = sys.argv[1:]
messages, silence = int(messages), float(silence)

OPTIONS = [
    ("grpc.ssl_target_name_override", "localhost"),
    ("grpc.enable_http_proxy", 0),
    # The shortest interval that grpcio allows, with and without calls.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]
LIMIT = 120 + silence  # seconds for one call


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r}, not {wanted!r}")
    print(what, flush=True)


if certificate == "-":
    channel = grpc.insecure_channel(address, OPTIONS)
else:
    with open(certificate, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(address, credentials, OPTIONS)

with channel:
    unary = channel.unary_unary("/echo.Echo/Echo")
    answers = [unary(b"%d" % i, timeout=LIMIT) for i in range(200)]
    check("200 unary calls, one by one", answers, [b"%d" % i for i in range(200)])

    calls = [unary.future(b"%d" % i * 100, timeout=LIMIT) for i in range(messages // 10)]
    check(
        f"{len(calls)} unary calls at once",
        [call.result() for call in calls],
        [b"%d" % i * 100 for i in range(len(calls))],
    )

    large = bytes(range(256)) * 15 * 1024  # grpcio takes no more than 4 MiB
    check("a message of 3.75 MiB", unary(large, timeout=LIMIT), large)

    count = channel.stream_unary("/echo.Echo/Count")
    sent = (b"x" * (i % 1000) for i in range(messages))
    size = sum(i % 1000 for i in range(messages))
    wanted = b"%d %d" % (messages, size)
    check(f"{messages} messages by client streaming", count(sent, timeout=LIMIT), wanted)

    repeat = channel.unary_stream("/echo.Echo/Repeat")
    got = list(repeat(b"%d" % messages, timeout=LIMIT))
    wanted = [b"%d" % i for i in range(messages)]
    check(f"{messages} messages by server streaming", got, wanted)

    both = channel.stream_stream("/echo.Echo/Echo")
    to_send = queue.Queue()
    answers = both(iter(to_send.get, None), timeout=LIMIT)
    for i in range(100):
        to_send.put(b"%d" % i)
        assert next(answers) == b"%d" % i
    time.sleep(silence)
    to_send.put(b"still there")
    got = next(answers)
    to_send.put(None)
    check(f"a bidirectional stream, silent for {silence:.0f} s", [got, *answers], [b"still there"])
    check("its status", answers.code(), grpc.StatusCode.OK)

    begun = time.monotonic()
    slow = channel.unary_unary("/echo.Echo/Slow")
    # Later than the deadline that it sends: the answer is the server's.
    header = (("grpc-timeout", "300m"),)
    try:
        sys.exit(f"Slow: {slow(b'', metadata=header, timeout=None)!r}")
    except grpc.RpcError as error:
        check("a deadline", error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    elapsed = time.monotonic() - begun
    check("after 0.3 s", 0.29 < elapsed < 1.5 or elapsed, True)
    try:
        sys.exit(f"Slow: {slow(b'', timeout=0.3)!r}")
    except grpc.RpcError as error:
        check("a deadline of the client's own", error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)

    metadata = (
        ("x-grpc-test-echo-initial", "initial"),
        ("x-grpc-test-echo-trailing-bin", bytes(range(256))),
    )
    answer, call = unary.with_call(b"", timeout=LIMIT, metadata=metadata)
    got = (metadata[0] in call.initial_metadata(), metadata[1] in call.trailing_metadata())
    check("metadata", got, (True, True))

    health = channel.unary_unary("/grpc.health.v1.Health/Check")
    check("health: SERVING", health(b"", timeout=LIMIT), b"\x08\x01")

    try:
        sys.exit(channel.unary_unary("/echo.Echo/None")(b"", timeout=LIMIT))
    except grpc.RpcError as error:
        check("an unknown method", error.code(), grpc.StatusCode.UNIMPLEMENTED)

    # A caller that cancels: RST_STREAM.
    for _ in range(100):
        to_send = queue.Queue()
        to_send.put(b"one")
        answers = both(iter(to_send.get, None), timeout=LIMIT)
        assert next(answers) == b"one"
        answers.cancel()
        to_send.put(None)
    check("a call after 100 that were cancelled", unary(b"well", timeout=LIMIT), b"well")
