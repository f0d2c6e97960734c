"""The line protocol over a real socket: `Client` sends requests and reads lines, every read bounded by a deadline.

Holds: every line from the server is checked against the framing rules, and every delivered message against "never
early", whatever the case at hand is about.
Leaves to others: the process behind the socket (escapement_driver.py), what a case expects (the case files).
"""

import collections
import itertools
import json
import re
import select
import socket
import time

# Generous: a deadline ends a case that hangs, it never measures how fast the server is.
DEADLINE_S = 30.0
READ_BYTES = 1 << 18

ERROR_CODES = frozenset(
    "bad_json line_too_long bad_request unknown_op unauthenticated forbidden not_found exists delay_out_of_range "
    "body_too_large limit_exceeded busy disk_full storage_failed shutting_down precondition_failed bad_state".split()
)


def now_ms():
    """The wall clock of this side in whole Unix milliseconds, rounded down."""
    return time.time_ns() // 1_000_000


class Line(dict):
    """One line from the server, decoded, with its bytes and the moment it was read."""

    def __init__(self, raw):
        super().__init__(_decode(raw))
        self.raw = raw
        self.at = time.monotonic()
        self.at_ms = now_ms()
        self._check()

    def _check(self):
        assert ("ok" in self) != ("event" in self), f"a line has exactly one of ok and event: {self.raw!r}"
        if "event" in self:
            if self["event"] == "message":
                check_message(self, self.at_ms)
        elif self["ok"] is False:
            assert self.get("error") in ERROR_CODES, f"unknown error code: {self.raw!r}"
            assert isinstance(self.get("message"), str) and self["message"], f"an error has a message: {self.raw!r}"
        else:
            assert self["ok"] is True, f"ok is true or false: {self.raw!r}"
            for message in self.get("messages", []):
                if "offset" in message:
                    check_message(message, self.at_ms)

    def bodies(self):
        """The bytes of each `body` in this line, in order, exactly as they were sent."""
        text = self.raw.decode()
        found, at = [], 0
        while match := re.compile(r'"body"\s*:\s*').search(text, at):
            _, at = json.JSONDecoder().raw_decode(text, match.end())
            found.append(text[match.end():at].encode())
        return found


def _decode(raw):
    value = json.loads(raw.decode("utf-8"))
    assert isinstance(value, dict), f"a line is a JSON object: {raw!r}"
    return value


def check_message(message, received_ms):
    """What holds for every delivered message: its fields are there, and it is not early by any clock."""
    for field in ("topic", "offset", "id", "attempt", "deliverAtMs", "releasedAtMs"):
        assert field in message, f"a message has {field}: {message!r}"
    assert ("body" in message) != ("bodyBase64" in message), f"a message has one body: {message!r}"
    assert message["releasedAtMs"] >= message["deliverAtMs"], f"released early: {message!r}"
    assert received_ms >= message["deliverAtMs"], f"received early, at {received_ms}: {message!r}"


class ConnectionClosed(Exception):
    """The server closed the connection while a line was expected."""


class Client:
    """A blocking client: one socket, lines in, lines out, every read bounded by a deadline."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = bytearray()
        self.lines = collections.deque()
        self.pushes = collections.deque()
        self.replies = collections.deque()
        self.ended = False
        self.rids = itertools.count(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def shrink(self):
        """Takes little into the socket's buffer, so that the server soon feels that nobody reads."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)

    def close(self):
        self.socket.close()
        self.ended = True

    # Sending.

    def send_raw(self, data):
        """Sends bytes, reading meanwhile, so that neither side can block the other for ever."""
        view, end = memoryview(data), time.monotonic() + DEADLINE_S
        while view:
            readable, writable, _ = select.select([] if self.ended else [self.socket], [self.socket], [], 1.0)
            if readable:
                self._read()
            if writable:
                try:
                    view = view[self.socket.send(view):]
                    end = time.monotonic() + DEADLINE_S
                except BlockingIOError:
                    pass
                except OSError as problem:
                    raise ConnectionClosed(str(problem)) from None
            assert time.monotonic() < end, "the server stopped reading"

    def line(self, op, fields):
        return json.dumps({"op": op, **{name.rstrip("_"): value for name, value in fields.items()}},
                          ensure_ascii=False).encode() + b"\n"

    def send(self, op, **fields):
        """Sends one request with a fresh `rid` (unless one is given) and gives the rid. `from_` means `from`."""
        fields.setdefault("rid", next(self.rids))
        self.send_raw(self.line(op, fields))
        return fields["rid"]

    def send_many(self, requests):
        """Pipelines [(op, fields)] in one piece; gives their rids."""
        rids, parts = [], []
        for op, fields in requests:
            fields = {"rid": next(self.rids), **fields}
            rids.append(fields["rid"])
            parts.append(self.line(op, fields))
        self.send_raw(b"".join(parts))
        return rids

    # Receiving.

    def _read(self):
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        self.buffer += data
        *whole, rest = self.buffer.split(b"\n")
        self.buffer = bytearray(rest)
        self.lines.extend(bytes(line) for line in whole)

    def poll(self, timeout):
        """The next line of any kind, or None when none came in time or the connection is closed."""
        end = time.monotonic() + timeout
        while not self.lines:
            if self.ended:
                return None
            left = end - time.monotonic()
            if left <= 0 and timeout > 0:
                return None
            readable, _, _ = select.select([self.socket], [], [], max(0, left))
            if readable:
                self._read()
            elif timeout <= 0:
                return None
        return Line(self.lines.popleft())

    def recv(self, timeout=DEADLINE_S):
        """The next line of any kind."""
        line = self.poll(timeout)
        if line is None:
            if self.ended:
                raise ConnectionClosed("the server closed the connection")
            raise AssertionError(f"no line from the server within {timeout:.0f} s")
        return line

    def reply(self, rid, timeout=DEADLINE_S):
        """The reply with this rid; events and other replies are kept for later."""
        for kept in self.replies:
            if kept.get("rid") == rid:
                self.replies.remove(kept)
                return kept
        end = time.monotonic() + timeout
        while True:
            line = self.recv(max(0.001, end - time.monotonic()))
            if "event" in line:
                self.pushes.append(line)
            elif line.get("rid") == rid:
                return line
            else:
                self.replies.append(line)

    def call(self, op, **fields):
        """One request and its reply, whatever it says."""
        return self.reply(self.send(op, **fields))

    def ok(self, op, **fields):
        """One request that must succeed."""
        reply = self.call(op, **fields)
        assert reply["ok"], f"{op} {fields!r} was refused: {reply!r}"
        return reply

    def refused(self, code, op, **fields):
        """One request that must be refused with `code` (or one of several)."""
        reply = self.call(op, **fields)
        codes = (code,) if isinstance(code, str) else code
        assert not reply["ok"] and reply["error"] in codes, f"{op} {fields!r}: got {reply!r}, expected {codes}"
        return reply

    def event(self, timeout=DEADLINE_S):
        """The next pushed line."""
        if self.pushes:
            return self.pushes.popleft()
        end = time.monotonic() + timeout
        while True:
            line = self.recv(max(0.001, end - time.monotonic()))
            if "event" in line:
                return line
            self.replies.append(line)

    def take(self, count, timeout=DEADLINE_S):
        """The next `count` pushed lines."""
        return [self.event(timeout) for _ in range(count)]

    def quiet(self, seconds=0.25):
        """Watches for a while that nothing is pushed. Finds a wrong push, never fails on a slow machine."""
        end = time.monotonic() + seconds
        while True:
            assert not self.pushes, f"nothing may be pushed here: {self.pushes[0]!r}"
            line = self.poll(max(0.001, end - time.monotonic()))
            if line is None:
                assert not self.ended, "the server closed the connection"
                return
            (self.pushes if "event" in line else self.replies).append(line)

    def closed(self, timeout=DEADLINE_S):
        """Asserts that the server closes the connection and sends nothing more."""
        line = self.poll(timeout)
        assert line is None, f"a line after the server should have closed: {line!r}"
        assert self.ended, "the server did not close the connection"


def fetch_all(client, topic, group, count, **fields):
    """Fetches until `count` messages came; gives them in the order of arrival."""
    messages, end = [], time.monotonic() + 2 * DEADLINE_S
    while len(messages) < count:
        assert time.monotonic() < end, f"only {len(messages)} of {count} messages came"
        messages += client.ok("fetch", topic=topic, group=group, max=1000, waitMs=1000, **fields)["messages"]
    return messages


def topic_row(client, topic):
    """The line of `topics` about one topic, or None."""
    rows = [row for row in client.ok("topics")["topics"] if row["topic"] == topic]
    assert len(rows) <= 1, f"a topic is listed once: {rows!r}"
    return rows[0] if rows else None


def group_row(client, topic, group):
    """The line of `topics` about one group, or None."""
    row = topic_row(client, topic)
    return next((entry for entry in row["groups"] if entry["group"] == group), None) if row else None
