"""The Framing section: lines, refusals, `rid`, pipelining, and input that no client should ever send."""

import random
import socket

from escapement_driver import ConnectionClosed, DEADLINE_S, equal, topic_row, unique
from suite import case, connect, own, randomness, shared

SMALL_CAP = 4096

BAD_JSON = {
    "a word": b"hello",
    "a cut object": b'{"op":"ping"',
    "two values": b'{"op":"ping"} {"op":"ping"}',
    "single quotes": b"{'op':'ping'}",
    "a trailing comma": b'{"op":"ping",}',
    "a comment": b'{"op":"ping"/**/}',
    "NaN": b'{"op":"publish","topic":"t","body":NaN}',
    "a leading zero": b'{"op":"ping","rid":01}',
    "a leading plus": b'{"op":"ping","rid":+1}',
    "a bare dot": b'{"op":"publish","topic":"t","body":1.}',
    "a bare exponent": b'{"op":"publish","topic":"t","body":1e}',
    "a raw control character": b'{"op":"ping","rid":"a\tb"}',
    "an unknown escape": b'{"op":"ping","rid":"\\x41"}',
    "a cut escape": b'{"op":"ping","rid":"\\u00"}',
    "a NUL byte": b'{"op":"ping"}\0',
    "an array": b'[{"op":"ping"}]',
    "a number": b"1",
    "a string": b'"ping"',
    "null": b"null",
    "a byte that is no UTF-8": b'{"op":"ping","rid":"\xff"}',
    "a cut UTF-8 sequence": b'{"op":"ping","rid":"\xc3"}',
    "overlong UTF-8": b'{"op":"ping","rid":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"op":"ping","rid":"\xed\xa0\x80"}',
    "UTF-8 beyond the last character": b'{"op":"ping","rid":"\xf4\x90\x80\x80"}',
    "bad UTF-8 inside a body": b'{"op":"publish","topic":"t","body":"\xff"}',
    "a lone high surrogate": b'{"op":"ping","rid":"\\ud800"}',
    "a lone low surrogate": b'{"op":"ping","rid":"\\udc00"}',
    "two high surrogates": b'{"op":"ping","rid":"\\ud800\\ud800"}',
    "a lone surrogate inside a body": b'{"op":"publish","topic":"t","body":["\\udfff"]}',
    "duplicate keys": b'{"op":"ping","rid":1,"rid":1}',
    "duplicate keys, one escaped": b'{"op":"ping","rid":1,"\\u0072id":2}',
    "duplicate keys inside the headers": b'{"op":"publish","topic":"t","body":1,"headers":{"a":"1","\\u0061":"2"}}',
    "duplicate keys by a surrogate pair": '{"op":"publish","topic":"t","headers":{"😀":1,"\\ud83d\\ude00":2}}'.encode(),
    "duplicate keys beside a body": b'{"op":"publish","topic":"t","body":{"a":1,"a":2},"id":"1","id":"2"}',
    "duplicate bodies": b'{"op":"publish","topic":"t","body":{"a":1},"body":2}',
    "duplicate keys in a message of a batch":
        b'{"op":"scheduleMany","topic":"t","messages":[{"id":"a","id":"b","delayMs":1,"body":1}]}',
    "duplicate keys in the headers of a message of a batch":
        b'{"op":"scheduleMany","topic":"t","messages":[{"delayMs":1,"body":1,"headers":{"h":"1","h":"2"}}]}',
    "duplicate header names": b'{"op":"publish","topic":"t","body":1,"headers":{"h":"1","h":"2"}}',
}


def nested(levels):
    """A publish whose line nests to exactly `levels`, the request itself being level 1."""
    return b'{"op":"publish","topic":"%s","body":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}\n"


def still_serves():
    with connect() as other:
        other.ok("ping")


@case
def crlf_ends_a_line():
    r"""A line is ended by `\n` (`\r\n` accepted)."""
    with connect() as client:
        client.send_raw(b'{"op":"ping","rid":1}\r\n{"op":"ping","rid":2}\n')
        equal([client.recv()["rid"] for _ in range(2)], [1, 2], "rids")


@case
def blank_lines_are_ignored():
    """Blank lines are ignored."""
    with connect() as client:
        client.send_raw(b'\n\n\r\n{"op":"ping","rid":1}\n\r\n\n{"op":"ping","rid":2}\n')
        equal([client.recv()["rid"] for _ in range(2)], [1, 2], "rids")
        client.quiet(0.1)


@case
def whitespace_between_tokens_is_json():
    """One JSON object (RFC 8259) a line: blanks between its tokens are allowed."""
    with connect() as client:
        client.send_raw(b' {\t"op" : "ping" ,  "rid" :\t7 } \n')
        equal(client.recv()["rid"], 7, "rid")


@case
def a_line_may_arrive_in_single_bytes():
    """A line is what stands before its newline, however the bytes arrive."""
    with connect() as client:
        for byte in b'{"op":"ping","rid":"slow"}\n':
            client.send_raw(bytes([byte]))
        equal(client.recv()["rid"], "slow", "rid")


@case
def a_line_of_exactly_the_cap_is_accepted():
    """A line may be up to `maxLineBytes`, without the newline."""
    client = own("--max-line-bytes", SMALL_CAP).client()
    equal(client.ok("hello", protocol=1)["maxLineBytes"], SMALL_CAP, "maxLineBytes")
    request = b'{"op":"ping","rid":5}'
    client.send_raw(request[:-1] + b" " * (SMALL_CAP - len(request)) + b"}\n")
    equal(client.recv()["rid"], 5, "rid")
    topic, frame = unique(), '{"op":"publish","topic":"%s","body":"%s"}'
    body = "x" * (SMALL_CAP - len(frame % (topic, "")))
    client.send_raw((frame % (topic, body)).encode() + b"\n")
    equal(client.recv()["ok"], True, "a publish of exactly the cap")


@case
def a_longer_line_is_refused_and_ends_the_connection():
    """Longer: error `line_too_long`, then the server closes."""
    client = own("--max-line-bytes", SMALL_CAP).client()
    client.send_raw(b'{"op":"ping"' + b" " * (SMALL_CAP - 12) + b"}\n")
    equal(client.recv()["error"], "line_too_long", "error")
    client.closed()


@case
def a_line_without_end_is_refused_before_its_newline():
    """The server never buffers more than the cap: a line that never ends is refused when it is over it."""
    server = own("--max-line-bytes", SMALL_CAP)
    client = server.client()
    try:
        for _ in range(100_000):
            client.send_raw(b"x" * 1024)
            if client.lines or client.ended:
                break
    except ConnectionClosed:
        pass
    equal(client.recv()["error"], "line_too_long", "error")
    client.closed()
    server.client().ok("ping")


@case
def a_too_long_line_is_never_resynchronised():
    """The server never resynchronises in the middle of a line: what follows an overlong line is not executed."""
    server, topic = own("--max-line-bytes", SMALL_CAP), unique()
    client = server.client()
    follow_up = b'{"op":"publish","topic":"%s","body":1}\n' % topic.encode()
    try:
        client.send_raw(b"y" * (3 * SMALL_CAP) + follow_up + b"y" * (SMALL_CAP + 1) + b"\n" + follow_up)
        equal(client.recv()["error"], "line_too_long", "error")
    except ConnectionClosed:
        pass  # The reset overtook the error line; what counts here is that nothing was executed.
    equal(topic_row(server.client(), topic), None, "the topic of the request behind the overlong line")


@case
def bad_json_is_refused_and_ends_the_connection():
    """Not JSON, not an object, invalid UTF-8, lone surrogate escapes, duplicate keys: `bad_json`, then the server closes."""
    for what, line in BAD_JSON.items():
        with connect() as client:
            client.send_raw(line + b"\n")
            reply = client.recv()
            equal((reply["ok"], reply.get("error")), (False, "bad_json"), f"{what}: {line!r}")
            client.closed()
    still_serves()


@case
def requests_before_bad_json_are_answered_and_those_after_are_not_executed():
    """`bad_json`, then the server closes: replies come in request order, and nothing behind the bad line is read."""
    topic = unique()
    with connect() as client:
        client.send_raw(b'{"op":"ping","rid":1}\nnonsense\n{"op":"publish","topic":"%s","body":1}\n' % topic.encode())
        equal(client.recv()["rid"], 1, "rid")
        equal(client.recv()["error"], "bad_json", "error")
        client.closed()
    with connect() as client:
        equal(topic_row(client, topic), None, "the topic of the request behind the bad line")


@case
def nesting_of_32_is_accepted_and_of_33_refused():
    """Nesting deeper than 32: error `bad_json`, then the server closes."""
    topic = unique().encode()
    with connect() as client:
        client.send_raw(nested(32) % topic)
        equal(client.recv()["ok"], True, "depth 32")
        client.send_raw(nested(33) % topic)
        equal(client.recv()["error"], "bad_json", "depth 33")
        client.closed()
    for levels in (1_000, 100_000):
        with connect() as client:
            client.send_raw(nested(levels) % topic)
            equal(client.recv()["error"], "bad_json", f"depth {levels}")
            client.closed()
    with connect() as client:
        client.send_raw(b'{"op":"publish","topic":"%s","body":%s1%s}\n' % (topic, b'{"a":' * 32, b"}" * 32))
        equal(client.recv()["error"], "bad_json", "objects of depth 33")


@case
def an_unknown_op_is_refused_and_the_connection_stays():
    """Error code `unknown_op`; the connection stays open."""
    with connect() as client:
        for op in ("frobnicate", "Ping", "", "pin", "pings", "x" * 500, "ünï"):
            client.refused("unknown_op", op)
        client.ok("ping")


@case
def every_request_has_op():
    """Every request has `"op"`, a string: without it `bad_request`, and the connection stays open."""
    with connect() as client:
        for line in (b"{}", b'{"rid":1}', b'{"op":1}', b'{"op":null}', b'{"op":["ping"]}'):
            client.send_raw(line + b"\n")
            reply = client.recv()
            equal((reply["ok"], reply.get("error")), (False, "bad_request"), repr(line))
            assert "op" in reply["message"], f"the message names the field: {reply!r}"
        client.ok("ping")


@case
def rid_is_echoed_unchanged():
    """`rid` (string up to 128 bytes, or integer) is optional and echoed unchanged in its reply."""
    rids = (0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), "", "a", "ü😀 \"quoted\" \\ back/slash", "\u0001\n", "x" * 128, "é" * 64)
    with connect() as client:
        for rid in rids:
            client.send("ping", rid=rid)
            reply = client.recv()
            equal((reply["ok"], reply.get("rid"), type(reply.get("rid"))), (True, rid, type(rid)), "reply to the rid")
            client.send("frobnicate", rid=rid)
            equal(client.recv().get("rid"), rid, "rid of a refusal")
        client.send_raw(b'{"op":"ping"}\n')
        assert "rid" not in client.recv(), "a request without rid has a reply without rid"


@case
def a_rid_that_is_none_is_refused_naming_it():
    """`rid` is a string up to 128 bytes or an integer; anything else is `bad_request`, the message names the field."""
    with connect() as client:
        for rid in (b'"%s"' % (b"x" * 129), '"{}"'.format("é" * 65).encode(), b"1.5", b"null", b"true", b"{}", b"[1]"):
            client.send_raw(b'{"op":"ping","rid":%s}\n' % rid)
            reply = client.recv()
            equal(reply.get("error"), "bad_request", repr(rid))
            assert "rid" in reply["message"], f"the message names the field: {reply!r}"
        client.ok("ping")


@case
def replies_come_in_request_order():
    """Requests may be pipelined without limit; replies come in request order."""
    topic, count = unique(), 5_000
    kinds = (
        ("ping", {}), ("schedule", {"topic": topic, "body": {"n": 1}, "delayMs": 3_600_000}), ("frobnicate", {}),
        ("publish", {"topic": topic, "body": "now", "acks": "memory"}), ("get", {"topic": topic, "id": "nobody"}),
        ("publish", {"topic": topic, "body": "now"}), ("cancel", {"topic": topic, "id": "nobody"}), ("ping", {"x": 1}),
    )
    with connect() as client:
        rids = client.send_many(kinds[index % len(kinds)] for index in range(count))
        equal([client.recv()["rid"] for _ in rids], rids, "order of the replies")


@case
def a_waiting_fetch_is_overtaken():
    """Replies come in request order, except that of a `fetch` which waits."""
    topic = unique()
    with connect() as client, connect() as other:
        waiting = client.send("fetch", topic=topic, group="g", waitMs=60_000)
        ping = client.send("ping")
        equal(client.recv()["rid"], ping, "the reply that overtakes")
        offset = other.ok("publish", topic=topic, body="wake")["offset"]
        reply = client.reply(waiting)
        equal([message["offset"] for message in reply["messages"]], [offset], "what the waiting fetch gives")


@case
def requests_before_the_end_of_the_stream_are_answered():
    """A client that has shut its sending side still gets the replies to what it sent."""
    with connect() as client:
        client.send_raw(b'{"op":"ping","rid":1}\n{"op":"ping","rid":2}\n{"op":"pi')
        client.socket.shutdown(socket.SHUT_WR)
        equal([client.recv()["rid"] for _ in range(2)], [1, 2], "rids")
        client.closed()


def garbage(random_source):
    """One piece of what a broken or hostile client may send."""
    kind = random_source.randrange(5)
    if kind == 0:
        return random_source.randbytes(random_source.randrange(1, 3_000))
    good = bytearray(b'{"op":"schedule","topic":"fuzz","body":{"a":[1,2,{"b":"\\u00e9"}]},"delayMs":86400000,"rid":"r"}\n')
    if kind == 1:
        return bytes(good[:random_source.randrange(len(good))])
    if kind == 2:
        good[random_source.randrange(len(good))] = random_source.randrange(256)
        return bytes(good)
    if kind == 3:
        tokens = [b"{", b"}", b"[", b"]", b'"', b":", b",", b'"op"', b"1e9", b"-", b"null", b"\\u", b"\n", b"\xe2\x82"]
        return b"".join(random_source.choices(tokens, k=random_source.randrange(1, 400)))
    return bytes(good) * 3 + random_source.randbytes(40)


@case
def garbage_hurts_nobody_else():
    """Whatever bytes arrive, the server stays alive and other clients are unaffected."""
    source = randomness()
    with connect() as witness:
        for _ in range(150):
            seed = source.getrandbits(64)
            random_source = random.Random(seed)
            with connect() as client:
                try:
                    client.send_raw(garbage(random_source))
                    ending = random_source.randrange(3)
                    if ending == 0:
                        client.socket.shutdown(socket.SHUT_WR)
                        while client.poll(DEADLINE_S):
                            pass
                        assert client.ended, f"a half-closed garbage connection stays open (seed {seed})"
                    elif ending == 1:
                        client.send_raw(b"\n")
                        client.poll(0.05)
                except (ConnectionClosed, OSError):
                    pass
            witness.ok("ping")
    assert shared().alive(), "the server is alive"
