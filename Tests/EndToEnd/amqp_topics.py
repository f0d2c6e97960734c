"""AMQP: bindings that lead to native topics."""

from amqp_driver import PERSISTENT, Peer
from escapement_driver import equal, unique
from rabbitmq_client import Rabbit
from suite import case, connect, own, shared

TOPIC = {"x-destination-type": "topic"}


def peer(**options):
    return Peer(shared().amqp_port, **options)


def bind(p, topic, source, key="", **arguments):
    p.call(1, "exchange.bind", destination=topic, source=source, routingKey=key, arguments={**TOPIC, **arguments})


@case
def what_is_published_comes_to_groups():
    """What an exchange routes to a topic comes to groups of the line protocol: bytes of the body, strings of the headers."""
    topic, queue = unique("t"), unique("q")
    with peer() as p, connect() as line:
        p.queue(p.channel(confirms=True), queue)
        bind(p, topic, "amq.topic", f"{topic}.#")
        bind(p, topic, "amq.topic", f"{topic}.*")
        p.call(1, "queue.bind", queue=queue, exchange="amq.topic", routingKey=f"{topic}.#")
        sub = line.ok("subscribe", topic=topic, group="g", **{"from": "earliest"})["sub"]
        p.publish(1, f"{topic}.k", b"body", "amq.topic", properties={
            **PERSISTENT, "contentType": "text/plain", "headers": {"s": "text", "n": 7, "b": True, "l": [1, "x"]}})
        equal(p.confirmed(1), [], "refused")
        event = line.event()
        equal((event["topic"], event["bodyBase64"], event["attempt"], event["offset"]), (topic, "Ym9keQ==", 1, 0), "the message")
        equal(event["headers"], {
            "amqp.exchange": "amq.topic", "amqp.routingKey": f"{topic}.k", "amqp.contentType": "text/plain",
            "amqp.deliveryMode": "2", "s": "text", "n": "7", "b": "true", "l": '[1,"x"]'}, "the headers")
        assert event["id"], event
        equal(line.ok("get", topic=topic, id=event["id"])["state"], "released", "its state")
        line.ok("ack", sub=sub, offset=event["offset"])
        got = p.get(1, queue)
        equal((got["body"], got["properties"]["headers"]["n"]), (b"body", 7), "the queue's copy")
        p.call(1, "exchange.unbind", destination=topic, source="amq.topic", routingKey=f"{topic}.#", arguments=TOPIC)
        p.call(1, "exchange.unbind", destination=topic, source="amq.topic", routingKey=f"{topic}.*", arguments=TOPIC)
        p.publish(1, f"{topic}.k", b"gone", "amq.topic")
        p.confirmed(2)
        equal(line.ok("stats")["published"] >= 1, True, "published")
        equal(line.ok("fetch", topic=topic, group="other", max=10, waitMs=0, **{"from": "earliest"})["messages"][1:], [], "more")


@case
def dead_letters_and_delayed_messages():
    """Dead letters and delayed messages come to topics as well; a topic makes a mandatory message routable."""
    topic = unique("t")
    with peer() as p, connect() as line:
        p.channel()
        for exchange, kind, arguments in (("dlx", "fanout", {}), ("later", "x-delayed-message", {"x-delayed-type": "fanout"})):
            p.call(1, "exchange.declare", exchange=f"{topic}-{exchange}", type=kind, arguments=arguments)
            bind(p, topic, f"{topic}-{exchange}")
        queue = p.queue(1, arguments={"x-dead-letter-exchange": f"{topic}-dlx", "x-message-ttl": 50})
        p.publish(1, queue, b"dead")
        p.publish(1, "k", b"late", f"{topic}-later", properties={"headers": {"x-delay": 300}}, mandatory=True)
        p.publish(1, "k", b"now", f"{topic}-dlx", mandatory=True)
        p.sync(1)
        line.ok("subscribe", topic=topic, group="g", **{"from": "earliest"})
        events = [line.event() for _ in range(3)]
        equal(sorted(event["bodyBase64"] for event in events), sorted(["ZGVhZA==", "bGF0ZQ==", "bm93"]), "bodies")
        headers = {event["bodyBase64"]: event["headers"] for event in events}
        equal(headers["ZGVhZA=="]["x-first-death-queue"], queue, "the death")
        equal(headers["bGF0ZQ=="]["x-delay"], "-300", "the delay")


@case
def bindings_survive_and_topics_may_go():
    """A binding to a topic survives a crash; when the topic is deleted, nothing is routed there until there is one again."""
    server = own()
    with Peer(server.amqp_port) as p:
        p.channel()
        p.call(1, "exchange.declare", exchange="x", type="direct", durable=True)
        bind(p, "t", "x", "k")
    server.kill9()
    server.restart()
    with Peer(server.amqp_port) as p, server.client() as line:
        p.channel()
        p.publish(1, "k", b"one", "x", mandatory=True)
        p.sync(1)
        equal(len(line.ok("fetch", topic="t", group="g", max=10, waitMs=5000, **{"from": "earliest"})["messages"]), 1, "messages")
        line.ok("deleteTopic", topic="t")
        p.publish(1, "k", b"two", "x", mandatory=True)
        equal(p.expect("basic.return", 1)["replyCode"], 312, "the return")
        line.ok("createTopic", topic="t")
        p.publish(1, "k", b"three", "x", mandatory=True)
        p.sync(1)
        equal(len(line.ok("fetch", topic="t", group="g", max=10, waitMs=5000, **{"from": "earliest"})["messages"]), 1, "messages")


@case
def what_is_refused():
    """A destination that is neither a topic nor an exchange, and a name that no topic can have, are 406."""
    for name, arguments in (("t", {"x-destination-type": "pipe"}), ("no/topic", TOPIC), ("", TOPIC)):
        with peer() as p:
            p.channel()
            p.send(1, "exchange.bind", destination=name, source="amq.topic", arguments=arguments)
            p.channel_closed(406 if name else 403)
    with Rabbit(connect()) as r:
        r.refused("precondition_failed", 406, "exchangeBind", destination="no/topic", source="amq.topic", arguments=TOPIC)
        r.ok("exchangeBind", destination=unique("t"), source="amq.topic", arguments=TOPIC)
