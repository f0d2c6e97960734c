"""AMQP: what is refused, with which code and words, and whether the channel or the connection ends."""

from amqp_driver import Peer, content, frame, method, publishing
from amqp_wire import encode_header
from escapement_driver import equal, unique
from suite import case, shared


def peer(**options):
    return Peer(shared().amqp_port, **options)


def refused(code, text, name, before=(), **fields):
    """A method on a fresh connection is refused: below 500 the channel ends, and a new one works; else the connection."""
    with peer() as p:
        p.channel()
        for earlier, given in before:
            p.call(1, earlier, **given)
        p.send(1, name, **fields)
        if name == "basic.publish":
            p.raw(content(1, b"x", fields.pop("properties", None)))
        if code < 500:
            p.channel_closed(code, text)
            p.channel()
            p.close()
        else:
            p.connection_closed(code, text)


@case
def what_is_not_there():
    """Queues and exchanges that are not there are 404, in RabbitMQ's words."""
    queue, exchange = unique("none"), unique("none")
    no_queue = f"NOT_FOUND - no queue '{queue}' in vhost '/'"
    no_exchange = f"NOT_FOUND - no exchange '{exchange}' in vhost '/'"
    refused(404, no_queue, "queue.declare", queue=queue, passive=True)
    refused(404, no_exchange, "exchange.declare", exchange=exchange, type="direct", passive=True)
    refused(404, no_queue, "queue.bind", queue=queue, exchange="amq.direct", routingKey="k")
    refused(404, no_exchange, "queue.bind", [("queue.declare", {"exclusive": True})], exchange=exchange, routingKey="k")
    refused(404, no_exchange, "exchange.bind", destination="amq.direct", source=exchange)
    refused(404, no_exchange, "exchange.bind", destination=exchange, source="amq.direct")
    refused(404, no_queue, "queue.purge", queue=queue)
    refused(404, no_queue, "basic.consume", queue=queue)
    refused(404, no_queue, "basic.get", queue=queue)
    refused(404, no_exchange, "basic.publish", exchange=exchange, routingKey="k")
    for name in ("basic.get", "basic.consume", "queue.purge"):
        refused(404, "NOT_FOUND - no previously declared queue", name)
    refused(404, "NOT_FOUND - no previously declared queue", "queue.declare", passive=True)


@case
def other_properties():
    """Declaring anew with other properties is 406 and names both values."""
    queue, exchange = unique("q"), unique("x")
    with peer() as p:
        p.queue(p.channel(), queue, arguments={"x-message-ttl": 60_000})
        p.call(1, "exchange.declare", exchange=exchange, type="topic")
    inequivalent = f"PRECONDITION_FAILED - inequivalent arg '%s' for %s in vhost '/': received %s but current is %s"
    arguments = {"x-message-ttl": 60_000}
    refused(406, inequivalent % ("durable", f"queue '{queue}'", "'true'", "'false'"), "queue.declare", queue=queue, durable=True,
            arguments=arguments)
    refused(406, inequivalent % ("x-message-ttl", f"queue '{queue}'", "'1'", "'60000'"), "queue.declare", queue=queue,
            arguments={"x-message-ttl": 1})
    refused(406, inequivalent % ("type", f"exchange '{exchange}'", "'direct'", "'topic'"), "exchange.declare", exchange=exchange,
            type="direct")
    refused(406, inequivalent % ("durable", f"exchange '{exchange}'", "'true'", "'false'"), "exchange.declare", exchange=exchange,
            type="topic", durable=True)


@case
def reserved_names():
    """Names that begin `amq.` and the default exchange are not a client's to declare, bind or delete: 403."""
    refused(403, "ACCESS_REFUSED - queue name 'amq.foo' contains reserved prefix 'amq.*'", "queue.declare", queue="amq.foo")
    refused(403, "ACCESS_REFUSED - exchange name 'amq.foo' contains reserved prefix 'amq.*'", "exchange.declare", exchange="amq.foo",
            type="direct")
    default = "ACCESS_REFUSED - operation not permitted on the default exchange"
    refused(403, default, "exchange.declare", exchange="", type="direct")
    refused(403, default, "exchange.delete", exchange="")
    queue = [("queue.declare", {"exclusive": True})]
    refused(403, default, "queue.bind", queue, exchange="", routingKey="k")
    refused(403, default, "queue.unbind", queue, exchange="", routingKey="k")
    for name in ("exchange.bind", "exchange.unbind"):
        refused(403, default, name, destination="", source="amq.direct")
        refused(403, default, name, destination="amq.direct", source="")
    refused(403, "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed", "exchange.delete", exchange="amq.direct")
    exchange = unique("x")
    refused(403, f"ACCESS_REFUSED - cannot publish to internal exchange '{exchange}' in vhost '/'", "basic.publish",
            [("exchange.declare", {"exchange": exchange, "type": "fanout", "internal": True})], exchange=exchange)


@case
def exclusive_queues():
    """Another connection's exclusive queue is 405, whatever is asked of it."""
    queue = unique("mine")
    with peer() as owner:
        owner.queue(owner.channel(), queue, exclusive=True)
        text = f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost '/'."
        for name, fields in (("queue.declare", {"passive": True}), ("queue.declare", {"exclusive": True}), ("queue.declare", {}),
                             ("queue.bind", {"exchange": "amq.direct"}), ("queue.purge", {}), ("queue.delete", {}),
                             ("basic.consume", {}), ("basic.get", {})):
            refused(405, text, name, queue=queue, **fields)
        owner.close()
    with peer() as p:
        p.queue(p.channel(), queue)


@case
def exclusive_consumers():
    """An exclusive consumer beside others, and others beside it, are 403, until it is gone."""
    queue = unique("q")
    text = f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"
    with peer() as p:
        p.queue(p.channel(), queue)
        p.call(1, "basic.consume", queue=queue, consumerTag="only", exclusive=True)
        refused(403, text, "basic.consume", queue=queue)
        refused(403, text, "basic.consume", queue=queue, exclusive=True)
        p.call(1, "basic.cancel", consumerTag="only")
        p.call(1, "basic.consume", queue=queue, consumerTag="one of many")
        refused(403, text, "basic.consume", queue=queue, exclusive=True)
        p.call(1, "basic.consume", queue=queue, consumerTag="another")


@case
def exchange_types():
    """An unknown exchange type is 406."""
    refused(406, "PRECONDITION_FAILED - unknown or invalid exchange type 'x-bogus'", "exchange.declare", exchange=unique(),
            type="x-bogus")


@case
def delivery_tags():
    """An unknown delivery tag, or one acknowledged before, is 406."""
    for name in ("basic.ack", "basic.nack", "basic.reject"):
        refused(406, "PRECONDITION_FAILED - unknown delivery tag 7", name, deliveryTag=7)
    for name in ("basic.ack", "basic.nack"):
        refused(406, "PRECONDITION_FAILED - unknown delivery tag 7", name, deliveryTag=7, multiple=True)
    with peer() as p:
        queue = p.queue(p.channel())
        p.publish(1, queue)
        tag = p.get(1, queue, no_ack=False)["deliveryTag"]
        p.send(1, "basic.ack", deliveryTag=tag)
        p.send(1, "basic.ack", deliveryTag=tag)
        p.channel_closed(406, f"unknown delivery tag {tag}")
        # A tag belongs to its channel.
        p.channel(1)
        p.channel(2)
        p.publish(1, queue)
        tag = p.get(1, queue, no_ack=False)["deliveryTag"]
        p.send(2, "basic.ack", deliveryTag=tag)
        p.channel_closed(406, f"unknown delivery tag {tag}", 2)


@case
def bindings_without_queue_and_key():
    """Where neither queue nor routing key is given, both are the name of the queue declared last; with either, the key is as given."""
    exchange = unique("x")
    with peer() as p:
        p.channel()
        p.call(1, "exchange.declare", exchange=exchange, type="direct")
        first, last = p.queue(1), p.queue(1)
        p.call(1, "queue.bind", queue=first, exchange=exchange)
        p.call(1, "queue.bind", exchange=exchange)
        p.call(1, "queue.bind", exchange=exchange, routingKey="k")
        for key in ("", last, "k"):
            p.publish(1, key, exchange=exchange)
        equal((p.count(1, first), p.count(1, last)), (1, 2), "messages")
        p.call(1, "queue.unbind", exchange=exchange)
        p.publish(1, last, exchange=exchange)
        equal(p.count(1, last), 2, "messages after the binding is gone")


@case
def line_ends_in_names():
    """Names of exchanges and queues lose their line feeds and carriage returns where they are declared, bound and deleted."""
    queue, exchange = unique("q"), unique("x")
    with peer() as p:
        equal(p.queue(p.channel(), f"\r\n{queue}\n"), queue, "the name of the queue")
        p.call(1, "exchange.declare", exchange=f"{exchange}\r\n", type="fanout")
        p.call(1, "exchange.declare", exchange=exchange, passive=True)
        p.call(1, "queue.bind", queue=f"{queue}\r", exchange=f"\n{exchange}")
        p.publish(1, "", exchange=exchange)
        equal(p.count(1, queue), 1, "messages")
        p.call(1, "queue.purge", queue=f"{queue}\n")
        p.call(1, "queue.delete", queue=f"{queue}\n")
        p.call(1, "exchange.delete", exchange=f"\n{exchange}")
    refused(404, f"NOT_FOUND - no queue '{queue}' in vhost '/'", "queue.declare", queue=queue, passive=True)


@case
def arguments_and_properties():
    """Bad arguments of queues and bad properties of messages are 406."""
    for key, value in (("x-message-ttl", -1), ("x-message-ttl", "soon"), ("x-expires", 0), ("x-expires", -1),
                       ("x-dead-letter-routing-key", "k"), ("x-max-length", -1), ("x-overflow", "sideways"),
                       ("x-queue-type", "stream")):
        refused(406, f"PRECONDITION_FAILED - invalid arg '{key}' for queue 'bad' in vhost '/'", "queue.declare", queue="bad",
                arguments={key: value})
    with peer() as p:
        for properties, text in (({"expiration": "-1"}, "invalid expiration '-1'"), ({"expiration": "x"}, "invalid expiration 'x'"),
                                 ({"headers": {"CC": "k"}}, "header 'CC'"),
                                 ({"deliveryMode": 3}, "invalid message: delivery mode 3 is neither 1 nor 2"),
                                 ({"userId": "somebody"}, "user_id property set to 'somebody' but authenticated user was 'guest'")):
            p.channel()
            p.publish(1, "nowhere", properties=properties)
            p.channel_closed(406, text)


@case
def deletes_with_conditions():
    """A queue in use or not empty is kept by `if-unused` and `if-empty`, an exchange by its bindings: 406."""
    queue, exchange = unique("q"), unique("x")
    with peer() as p:
        p.queue(p.channel(), queue)
        p.call(1, "exchange.declare", exchange=exchange, type="fanout")
        p.call(1, "queue.bind", queue=queue, exchange=exchange)
        p.publish(1, queue)
        p.sync(1)
        refused(406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty", "queue.delete", queue=queue, ifEmpty=True)
        refused(406, f"PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use", "exchange.delete", exchange=exchange,
                ifUnused=True)
        p.call(1, "basic.consume", queue=queue, noAck=True)
        refused(406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use", "queue.delete", queue=queue, ifUnused=True)


@case
def what_ends_the_connection():
    """Consumer tags used twice are 530; what we do not do is 540; what has no place is 503, 504 or 505."""
    queue = [("queue.declare", {"exclusive": True})]
    refused(530, "NOT_ALLOWED - attempt to reuse consumer tag 'c'", "basic.consume", queue + [("basic.consume", {"consumerTag": "c"})],
            consumerTag="c")
    refused(540, "NOT_IMPLEMENTED - immediate=true", "basic.publish", immediate=True)
    refused(540, "NOT_IMPLEMENTED", "basic.recover", requeue=False)
    refused(540, "NOT_IMPLEMENTED - prefetch_size!=0 (1)", "basic.qos", size=1)
    refused(540, "NOT_IMPLEMENTED - active=false", "channel.flow", active=False)
    refused(504, "CHANNEL_ERROR - second 'channel.open' seen", "channel.open")
    for name in ("basic.deliver", "queue.declare-ok", "connection.start-ok", "basic.get-empty"):
        refused(503, "COMMAND_INVALID", name)
    for data, code in ((method(2, "queue.declare"), 504), (frame(3, 1, b"x"), 505), (frame(2, 1, encode_header(1, {})), 505),
                       (method(1, "basic.publish") + method(1, "basic.publish"), 505),
                       (method(1, "basic.publish") + frame(3, 1, b"x"), 505),
                       (method(1, "basic.publish") + frame(2, 1, encode_header(2, {})) + frame(3, 1, b"xxx"), 501),
                       (method(1, "basic.publish") + frame(2, 1, b"\x00\x32" + encode_header(2, {})[2:]), 505)):
        with peer() as p:
            p.channel()
            p.raw(data)
            p.connection_closed(code)


@case
def transactions_and_confirms():
    """A commit without select, and confirms and transactions on one channel, are 406."""
    for name in ("tx.commit", "tx.rollback"):
        refused(406, "PRECONDITION_FAILED - channel is not transactional", name)
    refused(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode", "confirm.select", [("tx.select", {})])
    refused(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode", "tx.select", [("confirm.select", {})])


@case
def what_is_no_error():
    """Deleting or unbinding what is not there is no error, nor is cancelling a consumer that is not there."""
    with peer() as p:
        p.channel()
        queue = p.queue(1)
        equal(p.call(1, "queue.delete", queue=unique("none"))["messageCount"], 0, "messages of a queue that is not there")
        p.call(1, "exchange.delete", exchange=unique("none"))
        p.call(1, "queue.unbind", queue=queue, exchange="amq.direct", routingKey="k")
        p.call(1, "queue.unbind", queue=queue, exchange=unique("none"), routingKey="k")
        equal(p.call(1, "basic.cancel", consumerTag="nobody")["consumerTag"], "nobody", "the tag")
        p.call(1, "channel.flow", active=True)
        p.raw(method(7, "channel.close-ok"))
        p.sync(1)


@case
def a_closing_channel_takes_nothing():
    """Once the server has closed a channel nothing but the end of the closing counts on it; the other channels go on."""
    queue = unique("q")
    with peer() as p:
        p.channel(1)
        p.channel(2)
        p.queue(1, queue)
        p.raw(method(2, "queue.declare", queue=unique("none"), passive=True) + publishing(2, queue)
              + method(2, "queue.delete", queue=queue) + frame(1, 2, b"nonsense") + method(2, "channel.open"))
        fields = p.expect("channel.close", 2)
        equal((fields["code"], fields["class_id"], fields["method_id"]), (404, 50, 10), "the close")
        equal(p.count(1, queue), 0, "messages")
        p.send(2, "channel.close-ok")
        p.channel(2)
        # Both sides close at once.
        p.raw(method(2, "queue.declare", queue=unique("none"), passive=True) + method(2, "channel.close", code=200))
        p.expect("channel.close", 2)
        p.expect("channel.close-ok", 2)
        p.send(2, "channel.close-ok")
        p.channel(2)
        p.sync(1)


@case
def without_waiting():
    """Methods with no-wait are done and not answered; what is wrong is said all the same."""
    queue, exchange = unique("q"), unique("x")
    with peer() as p:
        p.channel()
        p.send(1, "exchange.declare", exchange=exchange, type="fanout", nowait=True)
        p.send(1, "queue.declare", queue=queue, nowait=True)
        p.send(1, "queue.bind", queue=queue, exchange=exchange, nowait=True)
        p.send(1, "confirm.select", nowait=True)
        p.publish(1, "", b"a", exchange)
        equal(p.confirmed(1), [], "refused")
        p.send(1, "queue.purge", queue=queue, nowait=True)
        equal(p.count(1, queue), 0, "messages after the purge")
        p.send(1, "basic.consume", queue=queue, consumerTag="c", nowait=True)
        p.publish(1, queue, b"b")
        names = sorted(p.read()[1] for _ in range(2))
        equal(names, ["basic.ack", "basic.deliver"], "what came")
        p.send(1, "basic.cancel", consumerTag="c", nowait=True)
        p.send(1, "queue.delete", queue=queue, nowait=True)
        p.send(1, "exchange.delete", exchange=exchange, nowait=True)
        p.sync(1)
        p.send(1, "queue.declare", queue=queue, passive=True, nowait=True)
        p.channel_closed(404)
