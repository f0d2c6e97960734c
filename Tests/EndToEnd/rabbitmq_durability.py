"""RabbitMQ front end: what survives a crash and a stop, and what does not; confirms and their price."""

import time

from escapement_driver import equal, eventually, now_ms, unique, wait_until_ms
from rabbitmq_client import HOUR_MS, PERSISTENT, Rabbit, deaths, header
from suite import case, own, randomness

ENDINGS = ("kill9", "stop")


def after_each_ending(server):
    """Ends and starts the server, first by a crash, then by a clean stop; gives a connection each time."""
    for ending in ENDINGS:
        getattr(server, ending)()
        server.start()
        with Rabbit(server.client()) as r:
            yield ending, r


@case
def durable_topology_survives():
    """Durable exchanges, queues with their arguments, and bindings between them survive; others do not."""
    server = own()
    with Rabbit(server.client()) as r:
        arguments = {"x-message-ttl": HOUR_MS, "x-dead-letter-exchange": "x", "x-max-length": 5}
        r.ok("queueDeclare", queue="kept", durable=True, arguments=arguments)
        r.queue("lost")
        r.queue("mine", durable=True, exclusive=True)
        r.queue("deleted", durable=True)
        r.exchange("topic", "x", durable=True, arguments={"alternate-exchange": "y"})
        r.exchange("headers", "y", durable=True)
        r.exchange("fanout", "gone")
        r.bind("kept", "x", "a.#")
        r.bind("kept", "x", "unbound")
        r.bind("kept", "y", "", {"h": "é", "x-match": "any"})
        r.bind("lost", "x", "lost")
        r.ok("queueUnbind", queue="kept", exchange="x", routingKey="unbound")
        r.ok("queueDelete", queue="deleted")
    for ending, r in after_each_ending(server):
        r.ok("queueDeclare", queue="kept", durable=True, arguments=arguments)
        for queue in ("lost", "mine", "deleted"):
            r.refused("not_found", 404, "queueDeclare", queue=queue, passive=True)
        r.refused("not_found", 404, "exchangeDeclare", exchange="gone", passive=True)
        r.ok("exchangeDeclare", exchange="x", type="topic", durable=True, arguments={"alternate-exchange": "y"})
        for key, headers in (("a.b", {}), ("unbound", {}), ("lost", {}), ("none", {"h": "é"})):
            r.publish(key, key, "x", headers=headers)
        equal(r.bodies("kept"), ["a.b", "none"], f"routed after {ending}")


@case
def names_are_bytes_after_a_restart_too():
    """Names that differ only in how an accent is spelled, or that begin with one, are names of their own after a restart."""
    server = own()
    composed, decomposed, leading = "caf\u00e9", "cafe\u0301", "\u0301a"
    with Rabbit(server.client()) as r:
        r.queue(composed, durable=True, x_message_ttl=HOUR_MS)
        for name in (decomposed, leading):
            r.queue(name, durable=True)
            r.exchange("fanout", name, durable=True)
            r.bind(name, name)
            r.publish(name, name, name, **PERSISTENT)
        r.ok("queueDelete", queue=composed)
    for ending, r in after_each_ending(server):
        for name in (decomposed, leading):
            r.ok("exchangeDeclare", exchange=name, passive=True)
            equal(r.count(name), 1, f"messages of {name!r} after {ending}")
        r.refused("not_found", 404, "queueDeclare", queue=composed, passive=True)


@case
def bindings_end_with_exclusive_queues():
    """A binding of an exclusive queue ends with it, though queue and exchange are durable and power fails."""
    server = own()
    with Rabbit(server.client()) as r:
        r.exchange("fanout", "x", durable=True)
        r.queue("q", durable=True, exclusive=True)
        r.bind("q", "x")
        server.kill9()
    server.start()
    with Rabbit(server.client()) as r:
        r.queue("q", durable=True)
    server.restart()
    with Rabbit(server.client()) as r:
        r.publish("", "for nobody", "x")
        equal(r.get("q"), None, "a message by a binding of the queue before")


@case
def persistent_messages_survive():
    """Durable queues with persistent messages survive restart; transient messages do not."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("q", durable=True)
        properties = {"deliveryMode": 2, "headers": {"h": [1, "é"]}, "messageId": "m"}
        for n in range(50):
            r.publish("q", f"p{n}", **(properties if n % 2 == 0 else {}))
    for ending, r in after_each_ending(server):
        equal(r.count("q"), 25, f"messages after {ending}")
    with Rabbit(server.client()) as r:
        messages = r.drain("q")
        equal([message["body"] for message in messages], [f"p{n}" for n in range(0, 50, 2)], "bodies")
        for message in messages:
            equal(message["properties"], properties, "properties")


@case
def what_was_settled_stays_settled():
    """An ack is durable; what was out and not acknowledged comes back redelivered, in its place."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("q", durable=True)
        r.publish_many("q", [str(n) for n in range(10)], **PERSISTENT)
        r.consume("q", prefetch=6)
        tags = [r.deliver()["deliveryTag"] for _ in range(6)]
        for place in (0, 2, 3):
            r.ack(tags[place])
        equal([r.deliver()["body"] for _ in range(3)], ["6", "7", "8"], "in the place of the acknowledged")
        equal(r.get("q")["body"], "9", "one without acknowledgement")
        for ending, r in after_each_ending(server):
            equal(r.count("q"), 6, f"messages after {ending}")
        with Rabbit(server.client()) as r:
            equal([(m["body"], m["redelivered"]) for m in r.drain("q")],
                  [(n, True) for n in "145678"], "in place")


@case
def transient_messages_cost_no_fsync():
    """Transient messages and queues that are not durable cost no fsync."""
    server = own("--fsync", "always")
    with Rabbit(server.client()) as r:
        r.queue("durable", durable=True)
        r.queue("transient")
        r.client.ok("publish", topic="t", body=1)
        before, start = r.client.ok("stats")["journalSyncs"], time.monotonic()
        for _ in range(50):
            r.publish("durable", "m")
            r.publish("transient", "m", **PERSISTENT)
            r.get("transient")
            for queue in ("durable", "transient"):
                r.publish(queue, "m")
                r.ack(r.get(queue, no_ack=False)["deliveryTag"])
        # What nobody waits for is synced all the same, ten times a second at most.
        syncs = r.client.ok("stats")["journalSyncs"] - before
        assert syncs <= 1 + (time.monotonic() - start) / 0.1, f"{syncs} syncs for what nobody waits for"
        before += syncs
        r.publish("durable", "m", **PERSISTENT)
        assert r.client.ok("stats")["journalSyncs"] > before, "a confirm of a persistent message is durable"


@case
def waiting_messages_expire_across_a_crash():
    """Expiry across crashes: in its time, or at the start when that is past; each exactly once."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("work", durable=True)
        r.queue("wait", durable=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"})
        ttls = [50 * n for n in range(1, 40)] + [HOUR_MS]
        for ttl in ttls:
            r.publish("wait", str(ttl), deliveryMode=2, expiration=str(ttl))
        held = r.get("wait", no_ack=False)["body"]
    for ending, r in after_each_ending(server):
        # One may move between the two questions, and so be counted twice.
        total = r.count("wait") + r.count("work")
        assert total >= len(ttls), f"{total} messages after {ending}"
    with Rabbit(server.client()) as r:
        eventually(lambda: r.count("work") == len(ttls) - 1, what="all dead letters")
        bodies = [message["body"] for message in r.drain("work")]
        equal(sorted(bodies), sorted(str(ttl) for ttl in ttls[:-1]), f"dead letters ({held} was out at the crash)")
        equal(r.bodies("wait"), [str(HOUR_MS)], "left")


@case(limit_s=180)
def crashes_between():
    """Durable and exactly once in place: messages move through waiting queues while the server is killed again and again."""
    random = randomness()
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("work", durable=True)
        for n in range(3):
            r.queue(f"wait{n}", durable=True, arguments={
                "x-dead-letter-exchange": "", "x-message-ttl": 100 + 150 * n,
                "x-dead-letter-routing-key": f"wait{n + 1}" if n < 2 else "work"})
    confirmed = []
    for cycle in range(5):
        with Rabbit(server.client()) as r:
            for n in range(60):
                body = f"{cycle}-{n}"
                r.publish(f"wait{random.randrange(3)}", body, deliveryMode=2,
                          **({"expiration": str(random.randrange(1, 400))} if random.random() < 0.5 else {}))
                confirmed.append(body)
            if random.random() < 0.5:
                r.nack(r.get("work", no_ack=False)["deliveryTag"]) if r.count("work") else None
        server.restart() if random.random() < 0.7 else (server.stop(), server.start())
    with Rabbit(server.client()) as r:
        eventually(lambda: r.count("work") == len(confirmed), what="every confirmed message in the work queue")
        messages = r.drain("work")
        equal(sorted(message["body"] for message in messages), sorted(confirmed), "each once")
        for message in messages:
            queues = [entry["queue"] for entry in deaths(message)]
            equal(queues, sorted(queues, reverse=True), "the way it took")


@case
def a_bounded_queue_after_a_restart():
    """Length and bytes are counted right after a restart."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("length", durable=True, arguments={"x-max-length": 3})
        r.queue("bytes", durable=True, arguments={"x-max-length-bytes": 6})
        for queue in ("length", "bytes"):
            r.publish_many(queue, ["aa", "bb", "cc"], **PERSISTENT)
    for ending, r in after_each_ending(server):
        for queue in ("length", "bytes"):
            equal(r.count(queue), 3, f"{queue} after {ending}")
    with Rabbit(server.client()) as r:
        for queue in ("length", "bytes"):
            r.publish(queue, "dd", **PERSISTENT)
            equal(r.bodies(queue), ["bb", "cc", "dd"], queue)


@case
def an_expiring_queue_after_a_restart():
    """`x-expires` of a durable queue: the time begins anew at the start."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("q", durable=True, arguments={"x-expires": 1_000})
    server.restart()
    with Rabbit(server.client()) as r:
        eventually(lambda: not r.client.call("rabbitmq.publish", exchange="", routingKey="q", body="x",
                                             mandatory=True)["ok"] or r.client.pushes, what="the end of the queue")


@case
def a_long_queue_is_bounded_in_memory_and_on_disk():
    """A queue does not grow by what was acknowledged: its space is given back."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("q", durable=True)
        r.consume("q", noAck=True)
        body = "x" * 10_000
        for _ in range(40):
            r.publish_many("q", [body] * 10)
        for _ in range(400):
            r.deliver()
        equal(r.count("q"), 0, "left")
    server.restart()
    with Rabbit(server.client()) as r:
        equal(r.count("q"), 0, "left after a restart")
        r.publish("q", "m")
        equal(r.bodies("q"), ["m"], "still works")


@case
def very_many_scattered_ends_at_once():
    """A start drops 70 000 transient messages that stand between as many persistent ones; a purge drops the others."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("q", durable=True)
        pair = b"".join(r.client.line("rabbitmq.publish", {
            "exchange": "", "routingKey": "q", "body": "b", "properties": {"deliveryMode": mode}}) for mode in (2, 1))
        r.client.send_raw(pair * 70_000)
        eventually(lambda: r.count("q") == 140_000, what="140 000 messages")
    server.restart()
    with Rabbit(server.client()) as r:
        equal(r.count("q"), 70_000, "messages after a crash")
        server.restart()
    with Rabbit(server.client()) as r:
        equal(r.count("q"), 70_000, "messages after another")
        equal(r.ok("queuePurge", queue="q")["messageCount"], 70_000, "purged")
        server.restart()
    with Rabbit(server.client()) as r:
        equal(r.count("q"), 0, "messages after the purge")


@case
def nothing_that_is_over_is_delivered_after_a_start():
    """A consumer that is there at once after a start gets nothing whose time to live ended while the server was away."""
    server, count = own(), 30_000
    with Rabbit(server.client()) as r:
        r.queue("dead", durable=True)
        r.queue("q", durable=True, x_dead_letter_exchange="", x_dead_letter_routing_key="dead")
        r.publish_many("q", ["x"] * count, expiration="3000", **PERSISTENT)
        published_ms = now_ms()
        server.kill9()
    wait_until_ms(published_ms + 3000)
    server.start()
    with Rabbit(server.client()) as r:
        r.consume("q", noAck=True)
        eventually(lambda: r.count("dead") + len(r.client.pushes) == count, what="every message somewhere")
        equal(len(r.client.pushes), 0, "messages delivered though their time was over")
