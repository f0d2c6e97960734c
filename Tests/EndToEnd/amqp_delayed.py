"""AMQP: exchanges of the type `x-delayed-message` on the wire: field types, confirms, names, cancelling."""

import struct
import time

from amqp_driver import PERSISTENT, Peer, frame, method
from amqp_wire import FRAME_BODY, FRAME_HEADER
from escapement_driver import equal, eventually, unique
from rabbitmq_client import HOUR_MS, Rabbit
from suite import case, connect, shared

KIND = {"x-delayed-type": "direct"}


def peer(**options):
    return Peer(shared().amqp_port, **options)


def delayed(p, **fields):
    """A channel with a delayed exchange and a queue bound to it; gives both names."""
    exchange, queue = unique("x"), p.queue(p.channel(confirms=True))
    p.call(1, "exchange.declare", exchange=exchange, type="x-delayed-message", arguments=KIND, **fields)
    p.call(1, "queue.bind", queue=queue, exchange=exchange, routingKey="k")
    return exchange, queue


def publish(p, exchange, body, mandatory=False, **headers):
    p.publish(1, "k", body, exchange, {**PERSISTENT, "headers": headers}, mandatory=mandatory)


def publish_field(p, exchange, body, field):
    """Publishes with `x-delay` as these bytes: type and value."""
    table = b"\x07x-delay" + field
    header = struct.pack(">HHQH", 60, 0, len(body), 0x2000) + struct.pack(">I", len(table)) + table
    p.raw(method(1, "basic.publish", exchange=exchange, routingKey="k") + frame(FRAME_HEADER, 1, header)
          + frame(FRAME_BODY, 1, body))


def told(p):
    """Reads up to the next confirm; gives the names of what came, and the last reply text."""
    names, text = [], None
    while not names or names[-1] not in ("basic.ack", "basic.nack"):
        _, name, fields = p.read()
        names.append(name)
        text = fields.get("replyText", text)
    return names, text


@case
def every_type_of_number():
    """`x-delay` may be any integer type, a float, a double or text that is a number; what is none routes at once."""
    later = [b"b\x7f", b"B\xc8", b"s" + struct.pack(">h", 200), b"u" + struct.pack(">H", 200), b"I" + struct.pack(">i", 200),
             b"i" + struct.pack(">I", 200), b"l" + struct.pack(">q", 200), b"L" + struct.pack(">q", 200),
             b"f" + struct.pack(">f", 200.5), b"d" + struct.pack(">d", 200.25), b"S\0\0\0\x03200"]
    at_once = [b"t\x01", b"V", b"S\0\0\0\x02no", b"S\0\0\0\0", b"l" + struct.pack(">q", -200), b"I\0\0\0\0", b"A\0\0\0\0", b"F\0\0\0\0",
               b"d" + struct.pack(">d", float("nan")), b"x\0\0\0\x01\x09"]
    with peer() as p:
        exchange, queue = delayed(p)
        for place, field in enumerate(at_once):
            publish_field(p, exchange, b"now %d" % place, field)
        equal(p.confirmed(len(at_once)), [], "refused")
        equal(p.bodies(1, queue), [b"now %d" % place for place in range(len(at_once))], "at once")
        began = time.monotonic()
        for place, field in enumerate(later):
            publish_field(p, exchange, b"%d" % place, field)
        equal(p.confirmed(len(at_once) + len(later)), [], "refused")
        p.call(1, "basic.consume", queue=queue, noAck=True)
        bodies = []
        for _ in later:
            got = p.expect("basic.deliver", 1)
            bodies.append(int(got["body"]))
            waited_ms = (time.monotonic() - began) * 1000
            assert waited_ms >= -got["properties"]["headers"]["x-delay"] >= 127, got
        equal(sorted(bodies), list(range(len(later))), "bodies")


@case
def names_replace_and_cancel():
    """`x-delay-id` names a pending message: again replaces it, `x-delay-cancel` takes it back, told by confirm and return."""
    with peer() as p, Rabbit(connect()) as r:
        exchange, queue = delayed(p)

        def pending():
            return [row["id"] for row in r.ok("delayed", exchange=exchange)["messages"]]

        publish(p, exchange, b"old", **{"x-delay": HOUR_MS, "x-delay-id": "a"})
        publish(p, exchange, b"new", **{"x-delay": 150, "x-delay-id": "a"})
        p.confirmed(2)
        equal(eventually(lambda: p.get(1, queue), what="the message")["body"], b"new", "what replaced it")
        equal(pending(), [], "pending")
        publish(p, exchange, b"x", **{"x-delay": HOUR_MS, "x-delay-id": "b"})
        p.confirmed(3)
        equal(pending(), ["b"], "pending")
        publish(p, exchange, b"", True, **{"x-delay-id": "b", "x-delay-cancel": True})
        equal(told(p), (["basic.ack"], None), "a cancel that is done")
        equal(pending(), [], "pending")
        publish(p, exchange, b"", True, **{"x-delay-id": "b", "x-delay-cancel": True})
        equal(told(p), (["basic.return", "basic.ack"], "NO_PENDING"), "a cancel of what is not pending")
        publish(p, exchange, b"", **{"x-delay-id": "b", "x-delay-cancel": True})
        equal(told(p)[0], ["basic.ack"], "the same without mandatory")
        for headers in ({"x-delay-id": "i" * 129}, {"x-delay-id": ""}, {"x-delay-id": 7}, {"x-delay-cancel": True}):
            publish(p, exchange, b"", **{"x-delay": HOUR_MS, **headers})
            p.channel_closed(406, "x-delay")
            p.channel(1)


@case
def equal_message_ids_are_not_merged():
    """Without `x-delay-id` nothing is merged, whatever the message id says."""
    with peer() as p:
        exchange, queue = delayed(p)
        for number in range(3):
            p.publish(1, "k", b"%d" % number, exchange, {"messageId": "same", "headers": {"x-delay": 100}})
        p.confirmed(3)
        eventually(lambda: p.count(1, queue) == 3, what="all three")


@case
def mandatory_is_honest():
    """A mandatory delayed message is returned, and not delivered, when nothing is bound; and delivered silently when it is."""
    with peer() as p:
        exchange, queue = delayed(p)
        publish(p, exchange, b"kept", True, **{"x-delay": 100})
        equal(told(p), (["basic.ack"], None), "a routable one")
        p.publish(1, "none", b"back", exchange, {"headers": {"x-delay": 100}}, mandatory=True)
        equal(told(p), (["basic.return", "basic.ack"], "NO_ROUTE"), "one that goes nowhere")
        equal(eventually(lambda: p.get(1, queue), what="the message")["body"], b"kept", "the message")


@case
def declarations():
    """`x-delayed-type` that is missing, no text, unknown or itself is 406; other properties on a redeclaration are 406."""
    with peer() as p:
        p.channel()
        for arguments in ({}, {"x-delayed-type": 1}, {"x-delayed-type": "x-delayed-message"}, {"x-delayed-type": "round"}):
            p.send(1, "exchange.declare", exchange=unique("x"), type="x-delayed-message", arguments=arguments)
            p.channel_closed(406, "PRECONDITION_FAILED - invalid arg 'x-delayed-type'")
            p.channel(1)
        name = unique("x")
        p.call(1, "exchange.declare", exchange=name, type="x-delayed-message", arguments=KIND)
        p.call(1, "exchange.declare", exchange=name, type="x-delayed-message", arguments=KIND)
        p.send(1, "exchange.declare", exchange=name, type="direct")
        p.channel_closed(406, "inequivalent arg 'type'")
        p.channel(1)
        p.send(1, "exchange.declare", exchange=name, type="x-delayed-message", arguments=KIND, durable=True)
        p.channel_closed(406, "inequivalent arg 'durable'")


@case
def in_use_while_something_is_pending():
    """`if-unused` refuses to delete an exchange in which something is pending; deleting it drops that, and the log says so."""
    with peer() as p:
        exchange, queue = delayed(p)
        for _ in range(3):
            publish(p, exchange, b"x", **{"x-delay": HOUR_MS})
        p.confirmed(3)
        p.call(1, "queue.unbind", queue=queue, exchange=exchange, routingKey="k")
        p.send(1, "exchange.delete", exchange=exchange, ifUnused=True)
        p.channel_closed(406, f"PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use")
        p.call(p.channel(1), "exchange.delete", exchange=exchange)
        eventually(lambda: f"dropped 3 messages that were pending in exchange '{exchange}'" in shared().errors(), what="the log")
