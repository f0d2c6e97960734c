"""AMQP: rights of the access file, asked method by method; what is taken away ends."""

from access_rights import Access
from amqp_driver import Peer, content, method
from escapement_driver import equal
from rabbitmq_client import Rabbit
from suite import case


def peer(access, name):
    return Peer(access.server.amqp_port, user=name, password=access.secrets[name])


def filled(**more):
    """A server with the queue `q`, the exchange `x`, and clients with one right each; and `more` by name and grants."""
    access = Access()
    for right in ("schedule", "consume", "cancel", "inspect", "admin"):
        access.add(right, f"{right}:*")
    for name, grants in more.items():
        access.add(name, *grants)
    access.reload()
    with peer(access, "root") as p:
        p.queue(p.channel(), "q", durable=True)
        p.call(1, "exchange.declare", exchange="x", type="direct", durable=True)
        p.call(1, "queue.bind", queue="q", exchange="x", routingKey="k")
    return access


# Method, its fields, the right that is enough, what is refused without it, the answer.
METHODS = [
    ("exchange.declare", {"exchange": "x", "type": "direct", "durable": True}, "admin", "admin access to exchange 'x'"),
    ("exchange.declare", {"exchange": "x", "type": "direct", "passive": True}, "inspect", "inspect access to exchange 'x'"),
    ("exchange.delete", {"exchange": "none"}, "admin", "admin access to exchange 'none'"),
    ("queue.declare", {"queue": "q", "durable": True}, "admin", "admin access to queue 'q'"),
    ("queue.declare", {"queue": ""}, "admin", "admin access to queue 'amq.gen-'"),
    ("queue.declare", {"queue": "q", "passive": True}, "inspect", "inspect access to queue 'q'"),
    ("queue.purge", {"queue": "q"}, "admin", "admin access to queue 'q'"),
    ("queue.delete", {"queue": "none"}, "admin", "admin access to queue 'none'"),
    ("basic.get", {"queue": "q"}, "consume", "consume access to queue 'q'"),
    ("basic.consume", {"queue": "q"}, "consume", "consume access to queue 'q'"),
    ("basic.publish", {"exchange": "x", "routingKey": "k"}, "schedule", "schedule access to exchange 'x'"),
    ("basic.publish", {"exchange": "", "routingKey": "q"}, "schedule", "schedule access to queue 'q'"),
]


@case
def every_method_takes_its_right():
    """Each method is done with its right alone, and without it is 403 ACCESS_REFUSED, which closes the channel."""
    access = filled()
    for name, fields, right, text in METHODS:
        for user in ("schedule", "consume", "cancel", "inspect", "admin"):
            with peer(access, user) as p:
                p.channel()
                p.raw(method(1, name, **fields) + (content(1, b"x") if name == "basic.publish" else b""))
                if user == right:
                    p.send(1, "channel.flow", active=True)
                    while p.read()[1] != "channel.flow-ok":
                        pass
                else:
                    p.channel_closed(403, f"ACCESS_REFUSED - {text} in vhost '/' refused for user '{user}'")


@case
def bindings_take_two_rights():
    """A binding takes the right to change its destination and to consume from its source; dead letters the right to send."""
    access = filled(both=("admin:queue:q", "consume:exchange:x", "admin:exchange:orders", "admin:queue:mine"))
    with peer(access, "both") as p:
        p.channel()
        p.call(1, "queue.bind", queue="q", exchange="x", routingKey="more")
        p.call(1, "queue.unbind", queue="q", exchange="x", routingKey="more")
        p.call(1, "exchange.declare", exchange="orders", type="fanout")
        p.call(1, "exchange.bind", destination="orders", source="x")
        p.call(1, "exchange.unbind", destination="orders", source="x")
        p.call(1, "queue.declare", queue="mine")
        for name, fields, text in (
                ("queue.bind", {"queue": "q", "exchange": "amq.topic"}, "consume access to exchange 'amq.topic'"),
                ("queue.unbind", {"queue": "r", "exchange": "x"}, "admin access to queue 'r'"),
                ("exchange.bind", {"destination": "x", "source": "orders"}, "admin access to exchange 'x'"),
                ("exchange.bind", {"destination": "t", "source": "x", "arguments": {"x-destination-type": "topic"}},
                 "schedule access to topic 't'"),
                ("queue.declare", {"queue": "mine", "arguments": {"x-dead-letter-exchange": "x"}},
                 "schedule access to exchange 'x'"),
                ("exchange.declare", {"exchange": "orders", "type": "fanout", "arguments": {"alternate-exchange": "x"}},
                 "schedule access to exchange 'x'")):
            p.send(1, name, **fields)
            p.channel_closed(403, f"ACCESS_REFUSED - {text}")
            p.channel(1)


@case
def names_and_patterns():
    """Patterns of names count; a routing key in CC counts, too; replies by direct reply-to need no right."""
    access = filled(orders=["all:orders*"])
    with peer(access, "orders") as p:
        p.queue(p.channel(confirms=True), "orders-1")
        p.publish(1, "orders-1", b"one")
        equal(p.confirmed(1), [], "refused")
        p.call(1, "basic.consume", queue="amq.rabbitmq.reply-to", noAck=True)
        p.publish(1, "orders-1", b"two", properties={"replyTo": "amq.rabbitmq.reply-to"})
        p.confirmed(2)
        p.get(1, "orders-1")
        token = p.get(1, "orders-1")["properties"]["replyTo"]
        p.publish(1, token, b"reply")
        equal(sorted(p.read()[1] for _ in range(2)), ["basic.ack", "basic.deliver"], "what came")
        p.publish(1, "orders-1", properties={"headers": {"CC": ["q"]}})
        p.channel_closed(403, "schedule access to queue 'q'")
    with peer(access, "cancel") as p:
        p.channel()
        p.publish(1, "q")
        p.channel_closed(403)


@case
def rights_that_are_taken_away():
    """When the file is read again, consumers that may not consume any more are cancelled, and who is gone is cut off."""
    access = filled(worker=["consume:queue:q", "consume:queue:r", "admin:queue:r"])
    worker, gone = peer(access, "worker"), peer(access, "cancel")
    worker.queue(worker.channel(), "r")
    for queue in ("q", "r"):
        worker.call(1, "basic.consume", queue=queue, consumerTag=queue)
    with open(access.path, encoding="utf-8") as file:
        text = file.read()
    with open(access.path, "w", encoding="utf-8") as file:
        file.write(text.replace(" consume:queue:q", ""))
    access.remove("cancel")
    access.reload()
    equal(worker.expect("basic.cancel", 1)["consumerTag"], "q", "the consumer that ended")
    gone.ended()
    with Rabbit(access.line("root")) as r:
        equal({queue["queue"]: queue["consumerCount"] for queue in r.ok("queues")["queues"]}, {"q": 0, "r": 1}, "consumers")
        r.publish("r", "still")
    equal(worker.expect("basic.deliver", 1)["body"], b"still", "what the other consumer gets")
    worker.send(1, "basic.get", queue="q")
    worker.channel_closed(403)
    access.remove("worker")
    access.reload()
    worker.ended()


@case
def nobody():
    """A wrong secret, and guest where there is an access file, are 403."""
    access = filled()
    for user, password in (("root", "wrong"), ("guest", "guest"), ("", "")):
        with Peer(access.server.amqp_port, opens=False) as p:
            p.log_in(user=user, password=password)
            p.connection_closed(403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN")
