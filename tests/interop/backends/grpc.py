"""A gRPC backend. Messages are plain bytes, so that no code need be generated."""

import os
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc

CANCELLED = threading.Semaphore(0)


def whoami(request, context):
    """What arrived beside the message, and trailers of our own."""
    found = dict(context.invocation_metadata())
    context.send_initial_metadata([("x-first", "before"), ("x-bytes-bin", b"\0\xff\x80")])
    context.set_trailing_metadata([("x-last", "after"), ("x-last-bin", b"\xff\0")])
    lines = [f"{name}={value if isinstance(value, str) else value.hex()}" for name, value in sorted(found.items())]
    return "\n".join(lines).encode() + b"\n" + request


def count(request, _):
    """As many messages as asked for."""
    for number in range(int(request)):
        yield b"message %d" % number


def total(requests, _):
    messages = [len(message) for message in requests]
    return b"%d messages, %d bytes" % (len(messages), sum(messages))


def echo(requests, _):
    yield from requests


def fail(request, context):
    code, _, words = request.partition(b" ")
    context.set_trailing_metadata([("x-reason", "as asked for")])
    context.abort(next(known for known in grpc.StatusCode if known.value[0] == int(code)), words.decode())


def fail_late(request, context):
    yield b"one"
    fail(request, context)


def wait(_, context):
    """Until the client gives up."""
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(30)
    CANCELLED.release()
    return b""


def wait_amid_stream(requests, context):
    yield b"begun"
    yield wait(requests, context)


def was_cancelled(_, __):
    """Waits until some call of the two above has been given up."""
    return b"yes" if CANCELLED.acquire(timeout=10) else b"no"


def deadline(_, context):
    return b"%.1f" % context.time_remaining()


def how_is_all(_, __):
    """gRPC's own check: the message whose field `status` is `SERVING`."""
    return b"\x08\x01"


def leave(_, __):
    os._exit(1)


def main():
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    methods = {
        "WhoAmI": unary(whoami), "Count": stream(count), "Total": grpc.stream_unary_rpc_method_handler(total),
        "Echo": grpc.stream_stream_rpc_method_handler(echo), "Fail": unary(fail), "FailLate": stream(fail_late),
        "Wait": unary(wait), "WaitAmidStream": grpc.stream_stream_rpc_method_handler(wait_amid_stream),
        "WasCancelled": unary(was_cancelled), "Deadline": unary(deadline), "Leave": unary(leave),
    }  # fmt: skip
    server = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.max_receive_message_length", -1)])
    health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": unary(how_is_all)})
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("interop.Test", methods), health])
    credentials = [Path(word).read_bytes() for word in sys.argv[1:]]
    if credentials:
        chain, key = credentials
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listens on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
