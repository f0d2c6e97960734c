"""A small AMQP 0-9-1 client: one socket, any number of channels, every wait with a deadline.

Holds: methods of a channel come out in the order in which they came in; what a channel says without being asked
(deliveries, returns, confirms, cancels) waits in `events`.
Leaves to others: bytes (amqp_wire.py), what a user calls publishing or consuming (drivers.py).
"""

import collections
import socket
import struct
import time

import amqp_wire as wire

DEADLINE_S = 20.0
EVENTS = ("basic.deliver", "basic.return", "basic.ack", "basic.nack", "basic.cancel")


class Closed(Exception):
    """The server closed the channel or the connection, with AMQP's reply code and text."""

    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


class Connection:
    """An open connection as guest."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.channels = {}
        self.methods = collections.deque()
        self.closed = None
        self.frame_max = 131_072
        self._open()

    def _open(self):
        self.socket.sendall(b"AMQP\x00\x00\x09\x01")
        self.product = self._expect("connection.start")["properties"]
        capabilities = {name: True for name in (
            "publisher_confirms", "basic.nack", "consumer_cancel_notify", "authentication_failure_close")}
        self.send(0, "connection.start-ok", properties={"product": "comparison", "capabilities": capabilities},
                  mechanism="PLAIN", response="\0guest\0guest", locale="en_US")
        tune = self._expect("connection.tune")
        self.frame_max = min(self.frame_max, tune["frame_max"] or self.frame_max)
        self.send(0, "connection.tune-ok", channel_max=tune["channel_max"], frame_max=self.frame_max, heartbeat=0)
        self.send(0, "connection.open", vhost="/")
        self._expect("connection.open-ok")

    def _expect(self, name):
        end = time.monotonic() + DEADLINE_S
        while not self.methods:
            self.read_frame(end)
        got, fields = self.methods.popleft()
        assert got == name, f"expected {name}, got {got} {fields}"
        return fields

    def send(self, channel, method, **fields):
        self._send_frame(wire.FRAME_METHOD, channel, wire.encode_method(method, **fields))

    def send_content(self, channel, body, properties):
        self._send_frame(wire.FRAME_HEADER, channel, wire.encode_header(len(body), properties))
        step = self.frame_max - 8
        for start in range(0, len(body), step):
            self._send_frame(wire.FRAME_BODY, channel, body[start:start + step])

    def _send_frame(self, kind, channel, payload):
        self.socket.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + wire.FRAME_END)

    def read_frame(self, end):
        """Reads one frame and hands it on; raises TimeoutError at `end`."""
        while True:
            if len(self.buffer) >= 7:
                kind, channel, size = struct.unpack_from(">BHI", self.buffer)
                if len(self.buffer) >= size + 8:
                    break
            self._fill(end)
        payload = bytes(self.buffer[7:7 + size])
        assert self.buffer[7 + size:8 + size] == wire.FRAME_END, "a frame ends with 0xCE"
        del self.buffer[:size + 8]
        self._take(kind, channel, payload)

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("no frame from the server in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 16)
        except socket.timeout:
            raise TimeoutError("no frame from the server in time") from None
        finally:
            self.socket.settimeout(DEADLINE_S)
        if not data:
            raise self.closed or Closed(0, "the server closed the socket")
        self.buffer += data

    def _take(self, kind, channel, payload):
        if kind == wire.FRAME_HEARTBEAT:
            return
        if channel:
            if channel in self.channels:
                self.channels[channel].take(kind, payload)
            return
        name, fields = wire.decode_method(payload)
        if name == "connection.close":
            self.closed = Closed(fields["code"], fields["text"])
            self.send(0, "connection.close-ok")
            raise self.closed
        self.methods.append((name, fields))

    def channel(self):
        return Channel(self, max(self.channels, default=0) + 1)

    def drop(self):
        """Ends the connection without a word, as a crash of its client does."""
        self.socket.close()

    def close(self):
        try:
            self.send(0, "connection.close", code=200, text="bye")
            self._expect("connection.close-ok")
        except (OSError, Closed, AssertionError):
            pass
        self.socket.close()


class Channel:
    """A channel in confirm mode."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        connection.channels[number] = self
        self.replies, self.events = collections.deque(), collections.deque()
        self.content = None
        self.closed = None
        self.published = 0
        self.call("channel.open")
        self.call("confirm.select")

    # What comes in.

    def take(self, kind, payload):
        if kind == wire.FRAME_METHOD:
            name, fields = wire.decode_method(payload)
            if name in wire.WITH_CONTENT:
                self.content = [name, fields, None, b""]
            elif name == "channel.close":
                self.closed = Closed(fields["code"], fields["text"])
                self.connection.send(self.number, "channel.close-ok")
            else:
                self._put(name, fields)
            return
        if kind == wire.FRAME_HEADER:
            self.content[2], self.content[1]["properties"] = wire.decode_header(payload)
        else:
            self.content[3] += payload
        name, fields, size, body = self.content
        if len(body) == size:
            self.content = None
            self._put(name, {**fields, "body": body.decode()})

    def _put(self, name, fields):
        (self.events if name in EVENTS else self.replies).append((name, fields))

    def wait(self, queue, timeout=DEADLINE_S):
        """The next of `replies` or `events`; raises Closed or TimeoutError."""
        end = time.monotonic() + timeout
        while not queue:
            if self.closed:
                raise self.closed
            self.connection.read_frame(end)
        return queue.popleft()

    def event(self, timeout=DEADLINE_S):
        return self.wait(self.events, timeout)

    # What goes out.

    def send(self, method, **fields):
        if self.closed:
            raise self.closed
        self.connection.send(self.number, method, **fields)

    def call(self, method, **fields):
        """A method that has an answer; gives (name, fields) of it."""
        self.send(method, **fields)
        return self.wait(self.replies)

    def sync(self):
        """Returns when the server has handled what was sent before; raises Closed when it did not like it."""
        self.call("confirm.select")

    def publish(self, body, properties, **fields):
        """Sends a message and gives its number among the confirms."""
        self.send("basic.publish", **fields)
        self.connection.send_content(self.number, body.encode(), properties)
        self.published += 1
        return self.published
