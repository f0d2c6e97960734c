"""RabbitMQ front end: TTL of messages and queues, expiry wherever a message stands, bounded length."""

import time

from escapement_driver import equal, eventually, now_ms, unique
from rabbitmq_client import HOUR_MS, PERSISTENT, Rabbit, deaths, header
from suite import case, connect, own, randomness


def rabbit():
    return Rabbit(connect())


def work_queue(r, **arguments):
    """A queue for dead letters and the arguments that lead to it."""
    work = r.queue()
    return work, {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": work, **arguments}


@case
def the_ttl_of_a_queue():
    """`x-message-ttl`: a message expires so long after it entered the queue, and never before."""
    with rabbit() as r:
        work, dead = work_queue(r, x_message_ttl=300)
        waiting = r.queue(**dead)
        r.consume(work)
        began = time.monotonic()
        r.publish(waiting, "m")
        event = r.deliver()
        assert event.at - began >= 0.3, f"dead after {event.at - began} s"
        equal((event["body"], deaths(event)[0]["reason"], r.count(waiting)), ("m", "expired", 0))


@case
def the_ttl_of_a_message():
    """`expiration`: the same for one message; without a dead-letter exchange it is gone."""
    with rabbit() as r:
        work, dead = work_queue(r)
        waiting, plain = r.queue(**dead), r.queue()
        r.consume(work)
        began = time.monotonic()
        r.publish(plain, "gone", expiration="200")
        r.publish(waiting, "m", expiration="250")
        event = r.deliver()
        assert event.at - began >= 0.25, f"dead after {event.at - began} s"
        equal(deaths(event)[0]["original-expiration"], "250", "original-expiration")
        equal((r.count(waiting), r.count(plain)), (0, 0), "counts")


@case
def the_smaller_ttl_counts():
    """A message's time to live in a queue = the smaller of the queue's and its own."""
    with rabbit() as r:
        work, _ = work_queue(r)
        short, long = (r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=work, x_message_ttl=ttl)
                       for ttl in (200, HOUR_MS))
        r.consume(work)
        r.publish(short, "queue's", expiration=str(HOUR_MS))
        r.publish(long, "message's", expiration="400")
        r.publish(long, "neither")
        equal([r.deliver()["body"] for _ in range(2)], ["queue's", "message's"], "order")
        equal(r.bodies(long), ["neither"], "left")


@case
def invalid_expirations():
    """`expiration` is a string holding an integer 0…315360000000; otherwise 406 with `invalid expiration 'X'` and why."""
    with rabbit() as r:
        queue = r.queue()
        for text, why in (("", "no integer"), ("soon", "no integer"), ("10s", "left-over"), ("1.5", "left-over"),
                          ("-1", "negative"), ("315360000001", "too large"), ("9" * 30, "too large"), (" 5", "no integer")):
            message = r.refused("precondition_failed", 406, "publish", exchange="", routingKey=queue, body="x",
                                properties={"expiration": text})
            assert f"invalid expiration '{text}'" in message and why in message, message
        equal(r.count(queue), 0, "messages")
        for text in ("315360000000", "60000", "+60000"):
            r.publish(queue, text, expiration=text)
        equal(r.bodies(queue), ["315360000000", "60000", "+60000"], "taken")


@case
def ttl_0():
    """TTL 0: delivered now if a consumer is ready, else expired (dead-lettered when the queue has a DLX)."""
    with rabbit() as r:
        work, dead = work_queue(r)
        plain, waiting, by_queue = r.queue(), r.queue(**dead), r.queue(x_message_ttl=0, **dead)
        r.publish(plain, "gone", expiration="0")
        equal(r.get(plain), None, "without a DLX")
        r.publish(waiting, "dead", expiration="0")
        r.publish(by_queue, "dead too")
        letters = [r.wait_get(work), r.wait_get(work)]
        equal([letter["body"] for letter in letters], ["dead", "dead too"], "dead letters")
        equal(deaths(letters[0])[0]["original-expiration"], "0", "original-expiration")
        r.consume(by_queue, prefetch=1)
        r.publish_many(by_queue, ["now", "nobody is ready"])
        equal(r.deliver()["body"], "now", "delivered")
        equal(r.wait_get(work)["body"], "nobody is ready", "dead letter")
        equal(r.count(by_queue), 0, "left")


@case
def expiry_behind_a_long_lived_head():
    """Ours expires each message on time, wherever it stands: a long-lived message in front hides nothing."""
    with rabbit() as r:
        work, dead = work_queue(r)
        waiting = r.queue(**dead)
        r.consume(work)
        r.publish(waiting, "head")
        r.publish(waiting, "long", expiration=str(HOUR_MS))
        began = time.monotonic()
        for ttl in (600, 400, 200):
            r.publish(waiting, str(ttl), expiration=str(ttl))
        for ttl in (200, 400, 600):
            event = r.deliver()
            equal(event["body"], str(ttl), "order")
            assert event.at - began >= ttl / 1000, f"{ttl} after {event.at - began} s"
        equal(r.count(waiting), 2, "left")
        equal(r.bodies(waiting), ["head", "long"], "left")


@case
def head_of_line():
    """Published longest first into one queue: each is dead-lettered in due order, and none early."""
    with rabbit() as r:
        work, dead = work_queue(r)
        waiting = r.queue(**dead)
        r.consume(work, noAck=True)
        count, sent = 2_000, {}
        requests = []
        for number in range(count):
            ttl = 3_000 - number
            requests.append(("rabbitmq.publish", {"exchange": "", "routingKey": waiting, "body": str(ttl),
                                                  "properties": {"expiration": str(ttl)}}))
        at = time.monotonic()
        for rid in r.client.send_many(requests):
            assert r.client.reply(rid)["ok"]
        previous = None
        for event in r.client.take(count):
            ttl = int(event["body"])
            assert event.at - at >= ttl / 1000, f"the one of {ttl} ms came after {event.at - at} s"
            assert ttl not in sent, f"{ttl} came twice"
            sent[ttl] = event
        equal(len(sent), count, "dead letters")
        equal(r.count(waiting), 0, "left")
        # All were published within the same few turns; those that share one have consecutive TTLs and must keep their order.
        times = [deaths(event)[0]["time"] for _, event in sorted(sent.items())]
        assert all(a <= b + 1 for a, b in zip(times, times[1:])), previous


@case
def expiry_in_due_order():
    """In due order into the DLX: messages of one batch, random TTLs."""
    random = randomness()
    with rabbit() as r:
        work, dead = work_queue(r)
        waiting = r.queue(**dead)
        ttls = [random.randrange(400, 900) for _ in range(500)]
        began_ms = now_ms()
        r.publish_many(waiting, ["head"])
        rids = r.client.send_many([("rabbitmq.publish", {"exchange": "", "routingKey": waiting, "body": str(ttl),
                                                         "properties": {"expiration": str(ttl)}}) for ttl in ttls])
        for rid in rids:
            assert r.client.reply(rid)["ok"]
        took_ms = now_ms() - began_ms + 2
        eventually(lambda: r.count(work) == len(ttls), what="all dead letters")
        order = [int(body) for body in r.bodies(work)]
        equal(sorted(order), sorted(ttls), "dead letters")
        highest = 0
        for ttl in order:
            assert ttl >= highest - took_ms, f"{ttl} after {highest}, published within {took_ms} ms"
            highest = max(highest, ttl)
        equal(r.bodies(waiting), ["head"], "left")


@case
def a_delivered_message_does_not_expire():
    """Only ready messages expire, not those delivered and unacknowledged; requeued when overdue, it expires then."""
    with rabbit() as r:
        work, dead = work_queue(r)
        waiting = r.queue(**dead)
        r.publish_many(waiting, ["kept", "requeued"], expiration="300")
        kept, requeued = r.get(waiting, no_ack=False), r.get(waiting, no_ack=False)
        r.publish(waiting, "clock", expiration="500")
        equal(r.wait_get(work)["body"], "clock", "the only one that expires")
        r.ack(kept["deliveryTag"])
        equal(r.get(work), None, "nothing of the other two")
        r.nack(requeued["deliveryTag"])
        letter = r.wait_get(work)
        equal((letter["body"], deaths(letter)[0]["reason"]), ("requeued", "expired"), "overdue when requeued")
        equal(r.get(waiting), None, "left")


@case
def the_ttl_is_kept_on_requeue():
    """It starts when the message enters the queue and is kept on requeue."""
    with rabbit() as r:
        work, dead = work_queue(r)
        waiting = r.queue(**dead)
        r.consume(work)
        began = time.monotonic()
        r.publish(waiting, "m", expiration="500")
        for _ in range(3):
            r.nack(r.get(waiting, no_ack=False)["deliveryTag"])
        event = r.deliver()
        assert event.at - began >= 0.5, "early"
        equal(deaths(event)[0]["count"], 1, "count")


@case
def an_acknowledged_message_never_expires():
    """What was acknowledged, purged or deleted is no dead letter when its time comes."""
    with rabbit() as r:
        work, dead = work_queue(r)
        acked, purged, deleted, clock = (r.queue(**dead) for _ in range(4))
        for queue in (acked, purged, deleted):
            r.publish(queue, "never", expiration="200")
        r.get(acked)
        r.ok("queuePurge", queue=purged)
        r.ok("queueDelete", queue=deleted)
        r.publish(clock, "clock", expiration="400")
        equal(r.wait_get(work)["body"], "clock", "the only dead letter")
        equal(r.get(work), None, "no other")


@case
def an_expiring_queue():
    """`x-expires`: the unused queue (no consumers, no get, no redeclare) goes away and does not dead-letter."""
    with rabbit() as r:
        work, dead = work_queue(r, x_expires=400)
        queue = r.queue(**dead)
        r.publish(queue, "lost", expiration=str(HOUR_MS))
        began = time.monotonic()
        used = began
        while time.monotonic() - began < 0.7:
            before = time.monotonic()
            if r.client.call("rabbitmq.queueDeclare", queue=queue,
                             arguments={key.replace("_", "-"): value for key, value in dead.items()})["messageCount"] == 0:
                break
            used = before
        eventually(lambda: not exists(r, queue), what="the end of the queue")
        assert time.monotonic() - used >= 0.4, "gone too early"
        equal(set(r.bodies(work)) - {"probe"}, set(), "dead letters")
        kept = r.queue(x_expires=300)
        tag = r.consume(kept)
        clock = r.queue(x_expires=600)
        eventually(lambda: not exists(r, clock), what="the end of the other queue")
        assert exists(r, kept), "a queue with a consumer is used"
        r.ok("cancel", consumerTag=tag)
        eventually(lambda: not exists(r, kept), what="the end of the queue after its consumer")


def exists(r, queue):
    """Whether a queue is there, asked in a way that is no use of it: by publishing to it."""
    rid = r.client.send("rabbitmq.publish", exchange="", routingKey=queue, body="probe", mandatory=True,
                        properties={"expiration": "0"})
    assert r.client.reply(rid)["ok"]
    returned = [push for push in r.client.pushes if push["event"] == "rabbitmq.return"]
    for push in list(r.client.pushes):
        r.client.pushes.remove(push)
    return not returned


@case
def drop_head():
    """`x-overflow` `drop-head` (default): the oldest go, as dead letters with reason `maxlen`."""
    with rabbit() as r:
        work, dead = work_queue(r, x_max_length=3)
        queue, plain = r.queue(**dead), r.queue(x_max_length=2, x_overflow="drop-head")
        r.publish_many(queue, list("abcde"))
        r.publish_many(plain, list("abcde"))
        equal((r.count(queue), r.count(plain)), (3, 2), "counts")
        letters = r.drain(work)
        equal([letter["body"] for letter in letters], ["a", "b"], "dead letters")
        equal({deaths(letter)[0]["reason"] for letter in letters}, {"maxlen"}, "reason")
        equal((r.bodies(queue), r.bodies(plain)), (list("cde"), list("de")), "left")


@case
def only_ready_messages_count():
    """`x-max-length` counts ready messages: what is with a consumer does not, and counts again when it comes back."""
    with rabbit() as r:
        queue = r.queue(x_max_length=2)
        r.consume(queue, prefetch=2)
        r.publish_many(queue, list("abcdef"))
        equal([r.deliver()["body"] for _ in range(2)], ["a", "b"], "delivered")
        equal(r.count(queue), 2, "ready")
        r.ok("cancel", consumerTag="amq.ctag-1")
        r.nack(2, multiple=True)
        equal(r.bodies(queue), ["e", "f"], "the oldest of four went")


@case
def length_in_bytes():
    """`x-max-length-bytes`: the bytes of the bodies of ready messages."""
    with rabbit() as r:
        queue = r.queue(x_max_length_bytes=10)
        r.publish_many(queue, ["12345", "12345"])
        equal(r.count(queue), 2, "ten bytes fit")
        r.publish(queue, "é\n")
        equal(r.count(queue), 2, "three more do not")
        equal(r.bodies(queue), ["12345", "é\n"], "left")
        held = [r.publish(queue, "123456789"), r.get(queue, no_ack=False)][1]
        r.publish(queue, "1234567890")
        equal(r.count(queue), 1, "what is out does not count")
        r.nack(held["deliveryTag"])
        equal(r.bodies(queue), ["1234567890"], "what came back was the oldest")
        r.publish(queue, "12345678901")
        equal(r.bodies(queue), [], "larger than the bound")


@case
def reject_publish():
    """`reject-publish`: the publish is nacked; other queues get the message; no dead letter."""
    with rabbit() as r:
        work, dead = work_queue(r, x_max_length=2, x_overflow="reject-publish")
        exchange, full, other = r.exchange("fanout"), r.queue(**dead), r.queue()
        r.bind(full, exchange)
        r.bind(other, exchange)
        r.publish_many("", list("ab"), exchange)
        r.client.refused("limit_exceeded", "rabbitmq.publish", exchange=exchange, routingKey="", body="c")
        equal((r.bodies(full), r.bodies(other), r.bodies(work)), (list("ab"), list("abc"), []), "bodies")
        r.publish("", "d", exchange)
        equal(r.bodies(full), ["d"], "room again")
        r.consume(full, noAck=True)
        r.publish_many("", [str(n) for n in range(50)], exchange)
        equal(len([r.deliver() for _ in range(50)]), 50, "a ready consumer makes room")


@case
def reject_publish_in_bytes():
    """`reject-publish` with `x-max-length-bytes`: the bound is never exceeded, and a smaller message still fits."""
    with rabbit() as r:
        queue = r.queue(x_max_length_bytes=10, x_overflow="reject-publish")
        r.publish(queue, "12345")
        for body in ("123456", "1234é"):
            r.client.refused("limit_exceeded", "rabbitmq.publish", exchange="", routingKey=queue, body=body)
        r.publish(queue, "12\né")
        r.client.refused("limit_exceeded", "rabbitmq.publish", exchange="", routingKey=queue, body="1")
        r.publish(queue, "")
        equal(r.bodies(queue), ["12345", "12\né", ""], "bodies")


@case
def reject_publish_dlx():
    """`reject-publish-dlx`: the publish is nacked, and the message is a dead letter with reason `maxlen`."""
    with rabbit() as r:
        work, dead = work_queue(r, x_max_length=1, x_overflow="reject-publish-dlx")
        full = r.queue(**dead)
        r.publish(full, "a")
        r.client.refused("limit_exceeded", "rabbitmq.publish", exchange="", routingKey=full, body="b")
        letter = r.wait_get(work)
        equal((letter["body"], deaths(letter)[0]["reason"], deaths(letter)[0]["queue"]), ("b", "maxlen", full), "letter")
        equal(r.bodies(full), ["a"], "left")


@case
def long_ttls_lie_on_disk():
    """Long TTLs may lie on disk like any delayed message, and are withdrawn there when the message goes."""
    server = own()
    with Rabbit(server.client()) as r:
        queue = r.queue()
        r.publish_many(queue, [str(n) for n in range(500)], expiration=str(24 * HOUR_MS))
        equal(r.client.ok("stats")["pendingOnDisk"], 500, "markers on disk")
        r.drain(queue)
        equal(r.client.ok("stats")["expiring"], 0, "markers")
        r.publish_many(queue, [str(n) for n in range(100)], expiration=str(24 * HOUR_MS))
        r.get(queue, no_ack=False)
        equal(r.client.ok("stats")["expiring"], 100, "markers")
        r.ok("queueDelete", queue=queue)
        equal(r.client.ok("stats")["expiring"], 0, "markers of a deleted queue")
        equal(r.client.ok("stats")["pending"], 0, "markers of no queue")


@case
def nothing_stays_of_what_ends_at_once():
    """A queue of thousands of messages with a time to live leaves nothing behind when it is purged or deleted."""
    server = own()
    with Rabbit(server.client()) as r:
        def expiring():
            stats = r.client.ok("stats")
            return stats["expiring"] + stats["pending"]

        queue = r.queue("q", durable=True, x_dead_letter_exchange="", x_dead_letter_routing_key="dead")
        r.queue("dead", durable=True)
        for end in ("queuePurge", "queueDelete"):
            r.publish_many(queue, ["x"] * 5000, expiration=str(HOUR_MS), **PERSISTENT)
            r.publish(queue, "short", expiration="2000", **PERSISTENT)
            taken = r.get(queue, no_ack=False)
            equal(expiring(), 5001, "messages with a time to live")
            equal(r.ok(end, queue=queue)["messageCount"], 5000, end)
            left = 1 if end == "queuePurge" else 0
            eventually(lambda: expiring() == left, what="the end of what their times to live were kept by")
            if left:
                r.nack(taken["deliveryTag"])
                equal(r.count(queue), 1, "what was with a consumer during the purge")
                equal(r.bodies(queue), ["x"], "it")
        equal(r.count("dead"), 0, "dead letters")
        server.restart()
    with Rabbit(server.client()) as r:
        equal([row["queue"] for row in r.ok("queues")["queues"]], ["dead"], "queues after a restart")
        equal(r.client.ok("stats")["expiring"], 0, "times to live after a restart")


@case
def queues_are_listed():
    """`rabbitmq.queues`: every queue by name with what waits, what is with consumers, and who consumes."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("b", durable=True)
        r.queue("a", exclusive=True)
        r.publish("b", "1", expiration=str(HOUR_MS), **PERSISTENT)
        r.publish("b", "2")
        r.publish("b", "3")
        r.consume("b", prefetch=1)
        r.deliver()
        rows = r.ok("queues")["queues"]
        assert rows[1].pop("bytesOnDisk") > 0, "bytes of a queue with messages"
        equal(rows, [
            {"queue": "a", "durable": False, "messageCount": 0, "unacknowledged": 0, "expiring": 0, "consumerCount": 0,
             "bytesOnDisk": 0},
            {"queue": "b", "durable": True, "messageCount": 2, "unacknowledged": 1, "expiring": 1, "consumerCount": 1},
        ], "queues")
        equal(r.client.ok("stats")["pending"], 0, "native messages that are pending")


@case
def one_that_waits_for_long_does_not_keep_the_others_on_disk():
    """Messages that end behind one with a long time to live give their disk space back, also across a crash."""
    server = own("--segment-bytes", "1048576", "--checkpoint-bytes", "1048576")
    with Rabbit(server.client()) as r:
        def bytes_on_disk():
            return r.ok("queues")["queues"][0]["bytesOnDisk"]

        queue = r.queue("q", durable=True)
        for name in ("first", "middle", "last"):
            r.publish(queue, name, expiration=str(HOUR_MS), **PERSISTENT)
            r.publish_many(queue, ["x" * 1000] * 4000, expiration="300", **PERSISTENT)
        eventually(lambda: r.count(queue) == 3, what="the short ones to end")
        eventually(lambda: bytes_on_disk() < 6_000_000, what="the space of twelve million bytes that ended")
        server.restart()
    with Rabbit(server.client()) as r:
        equal(r.count(queue), 3, "messages after a crash")
        r.publish(queue, "new", **PERSISTENT)
        server.stop()
        server.start()
    with Rabbit(server.client()) as r:
        equal(r.bodies(queue), ["first", "middle", "last", "new"], "what waited for long")
