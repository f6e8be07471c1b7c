"""What RFC 9113 says a server does with requests that are malformed, and what it makes of odd ones that are not."""

from support.report import Deviation, equal, expect
from support.rules import play, rule, stream_error

MALFORMED = ("400", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR")

BAD_FIELDS = {
    "8.2: an upper-case name": [("X-Upper", "a")],
    "8.2.1: a name with a space": [("x bad", "a")],
    "8.2.1: a name with a colon": [("x:bad", "a")],
    "8.2.1: an empty name": [("", "a")],
    "8.2.1: a name with a byte above 127": [(b"x-\xff", "a")],
    "8.2.1: a value with NUL": [("x-bad", b"a\0b")],
    "8.2.1: a value with CR LF": [("x-bad", b"a\r\nx-smuggled: b")],
    "8.2.1: a value with LF": [("x-bad", b"a\nb")],
    "8.2.1: a value that begins with a space": [("x-bad", b" a")],
    "8.2.1: a value that ends with a tab": [("x-bad", b"a\t")],
    "8.2.2: connection": [("connection", "keep-alive")],
    "8.2.2: keep-alive": [("keep-alive", "timeout=5")],
    "8.2.2: proxy-connection": [("proxy-connection", "close")],
    "8.2.2: transfer-encoding": [("transfer-encoding", "chunked")],
    "8.2.2: upgrade": [("upgrade", "websocket")],
    "8.2.2: te other than trailers": [("te", "gzip")],
    "8.3: an unknown pseudo-header": [(":unknown", "a")],
    "8.3: :status in a request": [(":status", "200")],
    "8.3.1: two paths": [(":path", "/other")],
    "8.3.1: two methods": [(":method", "GET")],
    "8.3.1: two schemes": [(":scheme", "http")],
    "8.3.1: two authorities": [(":authority", "other")],
    "8.3.1: a host that is not the authority": [("host", "elsewhere.test")],
    "8.1.1: a content-length above nothing, without a body": [("content-length", "5")],
    "8.1.1: a content-length that is no number": [("content-length", "five")],
    "8.1.1: a negative content-length": [("content-length", "-1")],
    "8.1.1: two content-lengths that differ": [("content-length", "0"), ("content-length", "5")],
    "8.1.1: a content-length that is a list": [("content-length", "0, 0")],
}
BAD_PSEUDO = {
    "8.3.1: no method": {"method": None},
    "8.3.1: no scheme": {"scheme": None},
    "8.3.1: no path": {"path": None},
    "8.3.1: an empty path": {"path": ""},
    "8.3.1: a path without /": {"path": "echo"},
    "8.3.1: a path with a space": {"path": "/a b"},
    "8.3.1: a path with CR LF": {"path": "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /b"},
    "8.3.1: a path with NUL": {"path": "/a\0b"},
    "8.3.1: a whole URL as the path": {"path": "http://elsewhere.test/"},
    "8.3.1: a method with a space": {"method": "GET /"},
    "8.3.1: an empty method": {"method": ""},
    "8.3.1: a scheme with a space": {"scheme": "ht tp"},
    "8.3.1: an authority with a user": {"authority": "user@localhost"},
    "8.3.1: an authority with a path": {"authority": "localhost/a"},
    "8.3.1: an authority with CR LF": {"authority": "localhost\r\nx-smuggled: b"},
    "8.3.1: neither authority nor host": {"authority": None},
    "8.5: CONNECT": {"method": "CONNECT", "scheme": None, "path": None},
    "8.5: CONNECT with a path": {"method": "CONNECT"},
    "RFC 8441: CONNECT for an unknown protocol": {"method": "CONNECT", "protocol": "unknown"},
    "RFC 8441: a protocol without CONNECT": {"protocol": "websocket"},
}

for title, fields in BAD_FIELDS.items():

    @stream_error(f"{title}: malformed", *MALFORMED)
    def _(client, fields=fields):
        client.request(1, client.place.head("/echo", "GET", *fields))


for title, pseudo in BAD_PSEUDO.items():
    refused = (*MALFORMED, "405", "501") if "CONNECT" in title else MALFORMED

    @stream_error(f"{title}: malformed", *refused)
    def _(client, pseudo=pseudo):
        client.request(1, client.place.head(**{"path": "/echo", **pseudo}))


@stream_error("8.3: a pseudo-header behind another field: malformed", *MALFORMED)
def _(client):
    client.request(1, [("x-first", "a"), *client.place.head()])


@stream_error("8.1.1: more content than content-length says: malformed", *MALFORMED)
def _(client):
    client.request(1, client.place.head("/echo", "POST", ("content-length", "3")), end=False)
    client.data(1, b"words", end=True)


@stream_error("8.1.1: less content than content-length says: malformed", *MALFORMED)
def _(client):
    client.request(1, client.place.head("/echo", "POST", ("content-length", "10")), end=False)
    client.data(1, b"words", end=True)


@stream_error("8.1: trailers that do not end the stream: malformed", *MALFORMED)
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    client.data(1, b"words")
    client.request(1, [("x-last", "a")], end=False)


@rule("8.1: a pseudo-header among trailers: malformed")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    client.data(1, b"words")
    client.request(1, [(":method", "DELETE")])
    if client.outcome(1) == "200" and client.bodies[1].startswith(b"POST /echo") and not client.trailers:
        raise Deviation("left out by the crate h2, which shows trailers without it")
    expect(client.outcome(1) in MALFORMED, client.outcome(1))


@rule("8.3.1: a path with a fragment: malformed")
def _(client):
    client.request(1, client.place.head("/echo#part"))
    if client.outcome(1) == "200" and client.bodies[1].startswith(b"GET /echo HTTP"):
        raise Deviation("the fragment is left out by the crate http, which reads URLs for h2")
    expect(client.outcome(1) in MALFORMED, client.outcome(1))


@rule("8.2.3: cookies in several fields arrive as one")
def _(client):
    client.request(1, client.place.head("/echo", "GET", ("cookie", "a=1"), ("x-other", "b"), ("cookie", "c=2; d=3")))
    equal(client.answer(1), 200, "status")
    expect(b"\ncookie: a=1; c=2; d=3\n" in client.bodies[1], client.bodies[1])


@rule("8.3.1: a host in place of the authority will do, one of the same name beside it, too")
def _(client):
    client.request(1, client.place.head("/echo", "GET", ("host", "a.test"), authority=None))
    client.request(3, client.place.head("/echo", "GET", ("host", "b.test"), authority="b.test"))
    for stream, name in ((1, b"a.test"), (3, b"b.test")):
        equal(client.answer(stream), 200, "status")
        equal(client.bodies[stream].count(b"\nhost: " + name + b"\n"), 1, "host fields")


@rule("8.3.1: OPTIONS * is passed on, GET * is malformed")
def _(client):
    client.request(1, client.place.head("*", "OPTIONS"))
    expect(client.outcome(1) in ("200", "404"), client.outcome(1))
    client.request(3, client.place.head("*"))
    expect(client.outcome(3) in MALFORMED, client.outcome(3))


@rule("10.5.1: a head larger than --max-header-size: 431 or a reset, and the connection lives on")
def _(client):
    many = [(f"x-{number}", "a" * 1000) for number in range(90)]
    block = client.block(client.place.head("/", "GET", *many))
    pieces = [block[start : start + 16000] for start in range(0, len(block), 16000)]
    for index, piece in enumerate(pieces):
        last = 4 if index == len(pieces) - 1 else 0
        client.raw(9 if index else 1, last | (0 if index else 1), 1, piece)
    found = client.outcome(1)
    expect(found in ("431", "RST PROTOCOL_ERROR", "RST ENHANCE_YOUR_CALM", "GOAWAY ENHANCE_YOUR_CALM"), found)
    if not found.startswith("GOAWAY"):
        client.expect_alive()


@rule("10.5.1: more fields than --max-headers: 431")
def _(client):
    client.request(1, client.place.head("/", "GET", *((f"x-{number}", "a") for number in range(200))))
    expect(client.outcome(1) in ("431", "RST PROTOCOL_ERROR"), client.outcome(1))
    client.expect_alive()


if __name__ == "__main__":
    play()
