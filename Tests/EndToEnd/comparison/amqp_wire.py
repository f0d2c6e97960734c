"""AMQP 0-9-1 as bytes: field tables, methods, content headers.

Holds: one table names each method with its fields; Python values stand for field values as JSON would write them (an
integer is a 64-bit one, text a longstr, None a void), so that a value that goes out and comes back is the same.
Leaves to others: frames on a socket and what follows what (amqp_client.py).
"""

import struct

FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT = 1, 2, 3, 8
FRAME_END = b"\xce"
BASIC = 60

# Field kinds: o octet, h short, l long, L longlong, s shortstr, S longstr, t table, b bit.
METHODS = {
    "connection.start": (10, 10, "major:o minor:o properties:t mechanisms:S locales:S"),
    "connection.start-ok": (10, 11, "properties:t mechanism:s response:S locale:s"),
    "connection.tune": (10, 30, "channel_max:h frame_max:l heartbeat:h"),
    "connection.tune-ok": (10, 31, "channel_max:h frame_max:l heartbeat:h"),
    "connection.open": (10, 40, "vhost:s reserved1:s reserved2:b"),
    "connection.open-ok": (10, 41, "reserved1:s"),
    "connection.close": (10, 50, "code:h text:s class_id:h method_id:h"),
    "connection.close-ok": (10, 51, ""),
    "connection.blocked": (10, 60, "reason:s"),
    "connection.unblocked": (10, 61, ""),
    "connection.update-secret": (10, 70, "secret:S reason:s"),
    "connection.update-secret-ok": (10, 71, ""),
    "channel.open": (20, 10, "reserved1:s"),
    "channel.open-ok": (20, 11, "reserved1:S"),
    "channel.flow": (20, 20, "active:b"),
    "channel.flow-ok": (20, 21, "active:b"),
    "channel.close": (20, 40, "code:h text:s class_id:h method_id:h"),
    "channel.close-ok": (20, 41, ""),
    "exchange.declare": (40, 10, "reserved1:h exchange:s type:s passive:b durable:b autoDelete:b internal:b nowait:b "
                                 "arguments:t"),
    "exchange.declare-ok": (40, 11, ""),
    "exchange.delete": (40, 20, "reserved1:h exchange:s ifUnused:b nowait:b"),
    "exchange.delete-ok": (40, 21, ""),
    "exchange.bind": (40, 30, "reserved1:h destination:s source:s routingKey:s nowait:b arguments:t"),
    "exchange.bind-ok": (40, 31, ""),
    "exchange.unbind": (40, 40, "reserved1:h destination:s source:s routingKey:s nowait:b arguments:t"),
    "exchange.unbind-ok": (40, 51, ""),
    "queue.declare": (50, 10, "reserved1:h queue:s passive:b durable:b exclusive:b autoDelete:b nowait:b arguments:t"),
    "queue.declare-ok": (50, 11, "queue:s messageCount:l consumerCount:l"),
    "queue.bind": (50, 20, "reserved1:h queue:s exchange:s routingKey:s nowait:b arguments:t"),
    "queue.bind-ok": (50, 21, ""),
    "queue.unbind": (50, 50, "reserved1:h queue:s exchange:s routingKey:s arguments:t"),
    "queue.unbind-ok": (50, 51, ""),
    "queue.purge": (50, 30, "reserved1:h queue:s nowait:b"),
    "queue.purge-ok": (50, 31, "messageCount:l"),
    "queue.delete": (50, 40, "reserved1:h queue:s ifUnused:b ifEmpty:b nowait:b"),
    "queue.delete-ok": (50, 41, "messageCount:l"),
    "basic.qos": (60, 10, "size:l count:h global:b"),
    "basic.qos-ok": (60, 11, ""),
    "basic.consume": (60, 20, "reserved1:h queue:s consumerTag:s noLocal:b noAck:b exclusive:b nowait:b arguments:t"),
    "basic.consume-ok": (60, 21, "consumerTag:s"),
    "basic.cancel": (60, 30, "consumerTag:s nowait:b"),
    "basic.cancel-ok": (60, 31, "consumerTag:s"),
    "basic.publish": (60, 40, "reserved1:h exchange:s routingKey:s mandatory:b immediate:b"),
    "basic.return": (60, 50, "replyCode:h replyText:s exchange:s routingKey:s"),
    "basic.deliver": (60, 60, "consumerTag:s deliveryTag:L redelivered:b exchange:s routingKey:s"),
    "basic.get": (60, 70, "reserved1:h queue:s noAck:b"),
    "basic.get-ok": (60, 71, "deliveryTag:L redelivered:b exchange:s routingKey:s messageCount:l"),
    "basic.get-empty": (60, 72, "reserved1:s"),
    "basic.ack": (60, 80, "deliveryTag:L multiple:b"),
    "basic.reject": (60, 90, "deliveryTag:L requeue:b"),
    "basic.recover-async": (60, 100, "requeue:b"),
    "basic.recover": (60, 110, "requeue:b"),
    "basic.recover-ok": (60, 111, ""),
    "basic.nack": (60, 120, "deliveryTag:L multiple:b requeue:b"),
    "confirm.select": (85, 10, "nowait:b"),
    "confirm.select-ok": (85, 11, ""),
    "tx.select": (90, 10, ""),
    "tx.select-ok": (90, 11, ""),
    "tx.commit": (90, 20, ""),
    "tx.commit-ok": (90, 21, ""),
    "tx.rollback": (90, 30, ""),
    "tx.rollback-ok": (90, 31, ""),
}
_FIELDS = {name: [field.split(":") for field in fields.split()] for name, (_, _, fields) in METHODS.items()}
_NAMES = {(class_id, method_id): name for name, (class_id, method_id, _) in METHODS.items()}
WITH_CONTENT = ("basic.return", "basic.deliver", "basic.get-ok")

# Properties of a content header, highest bit first.
PROPERTIES = (
    ("contentType", "s"), ("contentEncoding", "s"), ("headers", "t"), ("deliveryMode", "o"), ("priority", "o"),
    ("correlationId", "s"), ("replyTo", "s"), ("expiration", "s"), ("messageId", "s"), ("timestamp", "L"), ("type", "s"),
    ("userId", "s"), ("appId", "s"),
)
_NUMBERS = {"o": ">B", "h": ">H", "l": ">I", "L": ">Q"}


def _shortstr(text):
    data = text.encode()
    return struct.pack(">B", len(data)) + data


def _longstr(text):
    data = text.encode()
    return struct.pack(">I", len(data)) + data


def encode_value(value):
    """A field value with its type letter."""
    if value is None:
        return b"V"
    if isinstance(value, bool):
        return b"t" + struct.pack(">?", value)
    if isinstance(value, int):
        return b"l" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"d" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"S" + _longstr(value)
    if isinstance(value, (list, tuple)):
        data = b"".join(map(encode_value, value))
        return b"A" + struct.pack(">I", len(data)) + data
    return b"F" + encode_table(value)


def encode_table(table):
    data = b"".join(_shortstr(key) + encode_value(value) for key, value in table.items())
    return struct.pack(">I", len(data)) + data


def _encode(kind, value):
    if kind in _NUMBERS:
        return struct.pack(_NUMBERS[kind], value)
    return {"s": _shortstr, "S": _longstr, "t": encode_table}[kind](value)


_EMPTY = {"o": 0, "h": 0, "l": 0, "L": 0, "s": "", "S": "", "t": {}, "b": False}


def encode_method(name, **fields):
    """A method's payload; fields that are not named are zero or empty."""
    data, bits, bit = struct.pack(">HH", *METHODS[name][:2]), 0, 0
    known = [field for field, _ in _FIELDS[name]]
    assert set(fields) <= set(known), f"{name} has {known}, not {sorted(fields)}"
    for field, kind in [*_FIELDS[name], (None, None)]:
        if kind == "b":
            bits |= bool(fields.get(field, False)) << bit
            bit += 1
            continue
        if bit:
            data, bits, bit = data + struct.pack(">B", bits), 0, 0
        if kind:
            data += _encode(kind, fields.get(field, _EMPTY[kind]))
    return data


def encode_header(size, properties):
    """A content header's payload."""
    flags, data = 0, b""
    unknown = set(properties) - {name for name, _ in PROPERTIES}
    assert not unknown, f"no properties of AMQP: {unknown}"
    for place, (name, kind) in enumerate(PROPERTIES):
        if name in properties:
            flags |= 1 << (15 - place)
            data += _encode(kind, properties[name])
    return struct.pack(">HHQH", BASIC, 0, size, flags) + data


class Reader:
    """Takes values off the front of a payload."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        value, = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return value

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def read(self, kind):
        if kind in _NUMBERS:
            return self.take(_NUMBERS[kind])
        if kind == "s":
            return self.bytes(self.take(">B")).decode("utf-8", "replace")
        if kind == "S":
            return self.bytes(self.take(">I")).decode("utf-8", "replace")
        return self.table()

    def table(self):
        end = self.take(">I") + self.at
        table = {}
        while self.at < end:
            key = self.read("s")
            table[key] = self.value()
        return table

    def value(self):
        letter = self.bytes(1)
        simple = {b"t": ">?", b"b": ">b", b"B": ">B", b"s": ">h", b"u": ">H", b"I": ">i", b"i": ">I", b"l": ">q",
                  b"L": ">q", b"f": ">f", b"d": ">d", b"T": ">Q"}
        if letter in simple:
            return self.take(simple[letter])
        if letter in (b"S", b"x"):
            return self.read("S")
        if letter == b"F":
            return self.table()
        if letter == b"A":
            end = self.take(">I") + self.at
            values = []
            while self.at < end:
                values.append(self.value())
            return values
        assert letter == b"V", f"a field value of type {letter!r}"
        return None


def decode_method(payload):
    """The name of a method and its fields."""
    reader = Reader(payload)
    name = _NAMES[reader.take(">H"), reader.take(">H")]
    fields, bit = {}, None
    for field, kind in _FIELDS[name]:
        if kind != "b":
            fields[field], bit = reader.read(kind), None
            continue
        if bit in (None, 8):
            bits, bit = reader.take(">B"), 0
        fields[field] = bool(bits >> bit & 1)
        bit += 1
    return name, fields


def decode_header(payload):
    """The size of the body that follows and the properties."""
    reader = Reader(payload)
    _, _, size, flags = (reader.take(layout) for layout in (">H", ">H", ">Q", ">H"))
    properties = {name: reader.read(kind) for place, (name, kind) in enumerate(PROPERTIES) if flags >> (15 - place) & 1}
    return size, properties
