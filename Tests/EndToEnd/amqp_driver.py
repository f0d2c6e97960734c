"""An AMQP client that can be as rude as it likes: frames, methods and raw bytes over one socket.

Holds: every wait has a deadline; what comes is given out in its order, contents put together by channel.
Leaves to others: bytes of methods and headers (comparison/amqp_wire.py), what a case expects (the amqp_*.py files).
"""

import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "comparison"))

import amqp_wire as wire  # noqa: E402
from escapement_driver import equal  # noqa: E402

DEADLINE_S = 20.0
HEADER = b"AMQP\x00\x00\x09\x01"
CAPABILITIES = (
    "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify", "connection.blocked",
    "consumer_priorities", "authentication_failure_close", "per_consumer_qos", "direct_reply_to",
)
PERSISTENT = {"deliveryMode": 2}


class Ended(Exception):
    """The server has closed the socket."""


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + wire.FRAME_END


def method(channel, name, **fields):
    """A method as a frame."""
    return frame(wire.FRAME_METHOD, channel, wire.encode_method(name, **fields))


def content(channel, body, properties=None, frame_max=131_072):
    """A content header and its bodies as frames."""
    frames = frame(wire.FRAME_HEADER, channel, wire.encode_header(len(body), properties or {}))
    for start in range(0, len(body), frame_max - 8):
        frames += frame(wire.FRAME_BODY, channel, body[start:start + frame_max - 8])
    return frames


def publishing(channel, key, body=b"x", exchange="", properties=None, frame_max=131_072, **fields):
    """A whole publish as frames."""
    return (method(channel, "basic.publish", exchange=exchange, routingKey=key, **fields)
            + content(channel, body, properties, frame_max))


class Peer:
    """One connection; opened as guest unless `opens` is False."""

    def __init__(self, port, *, opens=True, **login):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.contents = {}
        self.frame_max = 131_072
        if opens:
            self.open(**login)

    def open(self, heartbeat=0, channel_max=2047, frame_max=131_072, vhost="/", **login):
        self.start = self.log_in(**login)
        self.tune = self.expect("connection.tune")
        self.send(0, "connection.tune-ok", channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat)
        self.frame_max = frame_max
        self.send(0, "connection.open", vhost=vhost)
        self.expect("connection.open-ok")

    def log_in(self, mechanism="PLAIN", user="guest", password="guest", response=None, capabilities=CAPABILITIES):
        """Up to start-ok; gives what the server said in `connection.start`."""
        self.raw(HEADER)
        start = self.expect("connection.start")
        if response is None:
            response = f"\0{user}\0{password}"
        self.send(0, "connection.start-ok", properties={"capabilities": {name: True for name in capabilities}},
                  mechanism=mechanism, response=response, locale="en_US")
        return start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()

    # Out.

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, channel, name, **fields):
        self.raw(method(channel, name, **fields))

    def publish(self, channel, key, body=b"x", exchange="", properties=None, **fields):
        self.raw(publishing(channel, key, body, exchange, properties, self.frame_max, **fields))

    # In.

    def read_frame(self, timeout=DEADLINE_S):
        """(kind, channel, payload) of the next frame; raises TimeoutError or Ended."""
        end = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 7:
                kind, channel, size = struct.unpack_from(">BHI", self.buffer)
                if len(self.buffer) >= size + 8:
                    break
            self._fill(end)
        payload = bytes(self.buffer[7:7 + size])
        equal(self.buffer[7 + size], 0xCE, "the end of a frame")
        assert size + 8 <= self.frame_max, f"a frame of {size + 8} bytes"
        del self.buffer[:size + 8]
        return kind, channel, payload

    def _fill(self, end):
        self.socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            data = self.socket.recv(1 << 18)
        except socket.timeout:
            raise TimeoutError("nothing from the server in time") from None
        except ConnectionError:
            raise Ended from None
        finally:
            self.socket.settimeout(DEADLINE_S)
        if not data:
            raise Ended
        self.buffer += data

    def read(self, timeout=DEADLINE_S):
        """(channel, name, fields) of the next method, with `properties` and `body` if it has content; heartbeats are passed."""
        while True:
            kind, channel, payload = self.read_frame(timeout)
            if kind == wire.FRAME_HEARTBEAT:
                continue
            if kind == wire.FRAME_METHOD:
                name, fields = wire.decode_method(payload)
                if name not in wire.WITH_CONTENT:
                    return channel, name, fields
                self.contents[channel] = [name, fields, None]
                continue
            name, fields, size = self.contents[channel]
            if kind == wire.FRAME_HEADER:
                size, fields["properties"] = wire.decode_header(payload)
                self.contents[channel][2], fields["body"] = size, b""
            else:
                fields["body"] += payload
            if len(fields["body"]) == size:
                del self.contents[channel]
                return channel, name, fields

    def expect(self, name, channel=None, timeout=DEADLINE_S):
        """The fields of the next method, which must be this one."""
        got_channel, got, fields = self.read(timeout)
        assert got == name, f"expected {name}, got {got} {fields}"
        if channel is not None:
            equal(got_channel, channel, f"the channel of {name}")
        return fields

    def call(self, channel, name, **fields):
        """Sends a method and gives the fields of its answer."""
        self.send(channel, name, **fields)
        return self.expect(name + "-ok", channel)

    def channel(self, number=1, confirms=False):
        self.call(number, "channel.open")
        if confirms:
            self.call(number, "confirm.select")
        return number

    def queue(self, channel, name="", **fields):
        return self.call(channel, "queue.declare", queue=name, **fields)["queue"]

    def count(self, channel, queue):
        return self.call(channel, "queue.declare", queue=queue, passive=True)["messageCount"]

    def get(self, channel, queue, no_ack=True):
        """The fields of the next message, or None."""
        self.send(channel, "basic.get", queue=queue, noAck=no_ack)
        _, name, fields = self.read()
        return fields if name == "basic.get-ok" else None

    def bodies(self, channel, queue):
        """The bodies of all ready messages, which it takes."""
        bodies = []
        while found := self.get(channel, queue):
            bodies.append(found["body"])
        return bodies

    def sync(self, channel):
        """Returns when everything before was done."""
        self.call(channel, "channel.flow", active=True)

    def confirmed(self, upto):
        """Reads confirms until all up to this number are told; gives the numbers that were refused."""
        told, refused = 0, []
        while told < upto:
            _, name, fields = self.read()
            assert name in ("basic.ack", "basic.nack"), (name, fields)
            if name == "basic.nack":
                refused.append(fields["deliveryTag"])
            told = max(told, fields["deliveryTag"])
        return refused

    # The end.

    def channel_closed(self, code, text="", channel=1):
        """The server closes the channel; answers that."""
        fields = self.expect("channel.close", channel)
        self._refused(fields, code, text)
        self.send(channel, "channel.close-ok")
        return fields

    def connection_closed(self, code, text=""):
        """The server closes the connection; answers that and sees the socket end."""
        fields = self.expect("connection.close", 0)
        self._refused(fields, code, text)
        try:
            self.send(0, "connection.close-ok")
        except ConnectionError:
            pass
        self.ended()
        return fields

    @staticmethod
    def _refused(fields, code, text):
        equal(fields["code"], code, f"the code of {fields['text']!r}")
        assert text in fields["text"], f"{text!r} is not in {fields['text']!r}"

    def ended(self, timeout=DEADLINE_S):
        """The server ends the connection, saying nothing more."""
        try:
            got = self.read(timeout)
        except Ended:
            return self.drop()
        raise AssertionError(f"expected the end, got {got}")

    def drop(self):
        self.socket.close()

    def close(self):
        self.call(0, "connection.close", code=200, text="bye")
        self.drop()
