"""gRPC: every kind of call, deadlines, cancellations, statuses, and what a client learns of a backend that is gone."""

import queue

import grpc

from support import report
from support.certificates import Certificates
from support.programs import Balancer, backend, sample
from support.report import case, equal, expect

MESSAGES = 20_000
# Servers of this library break off the GET of a plain check.
CHECK = ["--health-path", "/grpc.health.v1.Health/Check"]
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]


def main():
    report.version(f"grpcio {grpc.__version__}")
    certificates = Certificates()
    with backend("grpc") as address, Balancer(f"h2c://{address}", certificates=certificates, flags=CHECK) as balancer:
        for name, channel in channels(balancer, certificates).items():
            with channel:
                test = Calls(channel)
                every_kind(name, test)
                statuses(name, test)
                given_up(name, test)
    with backend("grpc", certificates.server.chain, certificates.server.key) as address:
        flags = [*CHECK, "--backend-ca", certificates.authority]
        with Balancer(f"https://{address}", certificates=certificates, flags=flags) as balancer:
            with channels(balancer, certificates)["over TLS"] as channel:
                every_kind("over TLS, to a backend over TLS", Calls(channel))
    without_a_backend(certificates)
    over_http1()


def channels(balancer, certificates):
    credentials = grpc.ssl_channel_credentials(certificates.authority.read_bytes())
    return {
        "in the clear": grpc.insecure_channel(f"127.0.0.1:{balancer.port}", UNLIMITED),
        "over TLS": grpc.secure_channel(f"localhost:{balancer.tls_port}", credentials, UNLIMITED),
    }


class Calls:
    """The methods of `backends/grpc.py`."""

    def __init__(self, channel):
        def path(name):
            return f"/interop.Test/{name}"

        self.whoami, self.fail, self.wait = (channel.unary_unary(path(name)) for name in ("WhoAmI", "Fail", "Wait"))
        self.was_cancelled, self.deadline = (channel.unary_unary(path(n)) for n in ("WasCancelled", "Deadline"))
        self.leave, self.missing = (channel.unary_unary(path(name)) for name in ("Leave", "Missing"))
        self.count, self.fail_late = (channel.unary_stream(path(name)) for name in ("Count", "FailLate"))
        self.total = channel.stream_unary(path("Total"))
        self.echo, self.wait_amid_stream = (channel.stream_stream(path(name)) for name in ("Echo", "WaitAmidStream"))


def every_kind(name, test):
    with case(f"{name}: unary, with metadata and trailers of text and bytes"):
        metadata = [("x-ask", "a b"), ("x-ask-bin", b"\0\1\xff")]
        answer, call = test.whoami.with_call(b"hello", metadata=metadata, timeout=20)
        for line in (b"x-ask=a b\n", b"x-ask-bin=0001ff\n", b"\nhello"):
            expect(line in answer, answer)
        equal(value_of(call.initial_metadata(), "x-first"), "before", "initial metadata")
        equal(value_of(call.initial_metadata(), "x-bytes-bin"), b"\0\xff\x80", "initial metadata")
        equal(value_of(call.trailing_metadata(), "x-last"), "after", "trailer")
        equal(value_of(call.trailing_metadata(), "x-last-bin"), b"\xff\0", "trailer")
    with case(f"{name}: unary, 16 MiB out, and 500 calls at a time"):
        equal(len(test.whoami(bytes(1 << 24), timeout=20).rpartition(b"\n")[2]), 1 << 24, "length")
        calls = [test.whoami.future(b"%d" % number, timeout=20) for number in range(500)]
        equal([call.result().rpartition(b"\n")[2] for call in calls], [b"%d" % n for n in range(500)], "answers")
    with case(f"{name}: a stream of {MESSAGES} messages from the backend"):
        wanted = [b"message %d" % number for number in range(MESSAGES)]
        equal(list(test.count(b"%d" % MESSAGES, timeout=60)), wanted, "messages")
    with case(f"{name}: a stream of {MESSAGES} messages to the backend"):
        found = test.total((b"four" for _ in range(MESSAGES)), timeout=60)
        equal(found, b"%d messages, %d bytes" % (MESSAGES, 4 * MESSAGES), "answer")
    with case(f"{name}: {MESSAGES} messages both ways, whole and in order"):
        number = -1
        for number, message in enumerate(test.echo((b"message %d" % n for n in range(MESSAGES)), timeout=100)):
            if message != b"message %d" % number:
                raise report.Failed(f"{message} in the place of number {number}")
        equal(number, MESSAGES - 1, "the last message")
    with case(f"{name}: a conversation: each message is sent when the one before has come back"):
        words = queue.Queue()
        words.put(b"word 0")
        number = 0
        for number, word in enumerate(test.echo(iter(words.get, None), timeout=20)):
            equal(word, b"word %d" % number, "word")
            words.put(b"word %d" % (number + 1) if number < 200 else None)
        equal(number, 200, "the last word")


def statuses(name, test):
    with case(f"{name}: every status, with its words and trailers"):
        for code in list(grpc.StatusCode)[1:]:
            words = f"so it is: {code.name} ü%"
            why = failure(lambda: test.fail(f"{code.value[0]} {words}".encode(), timeout=20))
            equal((why.code(), why.details()), (code, words), "status")
            equal(value_of(why.trailing_metadata(), "x-reason"), "as asked for", "trailer")
    with case(f"{name}: a status after a message"):
        why = failure(lambda: list(test.fail_late(b"9 late", timeout=20)))
        equal((why.code(), why.details()), (grpc.StatusCode.FAILED_PRECONDITION, "late"), "status")
    with case(f"{name}: a method that is not there"):
        equal(failure(lambda: test.missing(b"", timeout=20)).code(), grpc.StatusCode.UNIMPLEMENTED, "status")


def given_up(name, test):
    with case(f"{name}: the backend is told how long it has"):
        left = float(test.deadline(b"", timeout=30))
        expect(20 < left < 31, f"{left} s of 30")
    with case(f"{name}: a deadline that passes ends the call, at the backend, too"):
        equal(failure(lambda: test.wait(b"", timeout=0.5)).code(), grpc.StatusCode.DEADLINE_EXCEEDED, "status")
        equal(test.was_cancelled(b"", timeout=20), b"yes", "whether the backend was told")
    with case(f"{name}: a unary call that is cancelled is so at the backend"):
        call = test.wait.future(b"", timeout=30)
        # Another call's answer says that the first has reached the backend, or will shortly.
        test.whoami(b"", timeout=20)
        call.cancel()
        equal(test.was_cancelled(b"", timeout=20), b"yes", "whether the backend was told")
    with case(f"{name}: a stream that is cancelled is so at the backend"):
        call = test.wait_amid_stream(iter([b"go"]), timeout=30)
        equal(next(call), b"begun", "first message")
        call.cancel()
        equal(test.was_cancelled(b"", timeout=20), b"yes", "whether the backend was told")


def without_a_backend(certificates):
    with backend("grpc") as address, Balancer(f"h2c://{address}", certificates=certificates, flags=CHECK) as balancer:
        both = channels(balancer, certificates)
        with case("a backend that ends amid a call: UNAVAILABLE"):
            for channel in both.values():
                why = failure(lambda: Calls(channel).leave(b"", timeout=20))
                equal(why.code(), grpc.StatusCode.UNAVAILABLE, f"status ({why.details()})")
                break
        for name, channel in both.items():
            with case(f"{name}: no backend: UNAVAILABLE, as a gRPC status of the balancer's own"):
                why = failure(lambda: Calls(channel).whoami(b"", timeout=20))
                equal(why.code(), grpc.StatusCode.UNAVAILABLE, f"status ({why.details()})")
                # What the client's library says of an answer that is none of gRPC.
                expect("http2 header" not in why.details(), why.details())
                expect(value_of(why.trailing_metadata(), "proxy-status"), why.trailing_metadata())
            channel.close()


def over_http1():
    """A backend that knows no gRPC: its answers are none, and the client is told so."""
    with sample() as address, Balancer(address) as balancer:
        with case("a backend that does not speak gRPC: an error, not a hang"):
            with grpc.insecure_channel(f"127.0.0.1:{balancer.port}", UNLIMITED) as channel:
                why = failure(lambda: Calls(channel).whoami(b"", timeout=20))
                expect(why.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN), why)


def failure(call):
    """The error that a call ends with."""
    try:
        found = call()
    except grpc.RpcError as why:
        return why
    raise report.Failed(f"it ended well: {report.short(found)}")


def value_of(metadata, name):
    return next((value for key, value in metadata if key == name), None)


if __name__ == "__main__":
    main()
