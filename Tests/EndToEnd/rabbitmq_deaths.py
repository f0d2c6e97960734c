"""RabbitMQ front end: dead letters, x-death and its fellows, routing, cycles; the classic waiting queues and the retry
ladder."""

import time

from escapement_driver import equal, eventually, unique
from rabbitmq_client import HOUR_MS, PERSISTENT, Rabbit, deaths, header
from suite import case, connect, own


def rabbit():
    return Rabbit(connect())


def reject(r, queue):
    r.ok("reject", deliveryTag=r.wait_get(queue, no_ack=False)["deliveryTag"], requeue=False)


@case
def the_fields_of_x_death():
    """Header `x-death`: `count` `reason` `queue` `time` `exchange` `routing-keys` `original-expiration`; its fellows."""
    with rabbit() as r:
        work, exchange = r.queue(), r.exchange("direct")
        waiting = r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=work)
        r.bind(waiting, exchange, "k")
        before = int(time.time())
        r.publish("k", "m", exchange, expiration="100", headers={"own": [1]}, messageId="id")
        message = r.wait_get(work)
        headers = message["properties"]["headers"]
        entry, = headers["x-death"]
        assert before <= entry.pop("time") <= time.time() + 1, "time in seconds"
        equal(entry, {"count": 1, "reason": "expired", "queue": waiting, "exchange": exchange, "routing-keys": ["k"],
                      "original-expiration": "100"}, "x-death")
        equal({key: value for key, value in headers.items() if key != "x-death"},
              {"own": [1], "x-first-death-queue": waiting, "x-first-death-reason": "expired",
               "x-first-death-exchange": exchange, "x-last-death-queue": waiting, "x-last-death-reason": "expired",
               "x-last-death-exchange": exchange}, "headers")
        assert "expiration" not in message["properties"], "expiration is removed"
        equal((message["properties"]["messageId"], message["exchange"], message["routingKey"], message["redelivered"]),
              ("id", "", work, False), "the rest")


@case
def rejected_letters():
    """Reason `rejected`: nack or reject with requeue false; with multiple for several."""
    with rabbit() as r:
        work = r.queue()
        queue = r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=work)
        plain = r.queue()
        r.consume(queue)
        r.publish_many(queue, list("abcd"))
        tags = [r.deliver()["deliveryTag"] for _ in range(4)]
        r.ok("reject", deliveryTag=tags[3], requeue=False)
        r.nack(tags[1], multiple=True, requeue=False)
        letters = [r.wait_get(work) for _ in range(3)]
        equal([letter["body"] for letter in letters], ["d", "a", "b"], "bodies")
        equal({deaths(letter)[0]["reason"] for letter in letters}, {"rejected"}, "reason")
        r.ack(tags[2])
        r.publish(plain, "gone")
        reject(r, plain)
        equal((r.count(plain), r.count(queue)), (0, 0), "left")


@case
def the_delivery_limit():
    """Reason `delivery_limit`: after `x-delivery-limit` returns the message is dead."""
    with rabbit() as r:
        work = r.queue()
        queue = r.queue(x_delivery_limit=2, x_dead_letter_exchange="", x_dead_letter_routing_key=work)
        r.publish(queue, "m")
        for attempt in range(3):
            message = r.get(queue, no_ack=False)
            equal(message["redelivered"], attempt > 0, "redelivered")
            r.nack(message["deliveryTag"])
        equal(r.get(queue), None, "left")
        equal(deaths(r.wait_get(work))[0]["reason"], "delivery_limit", "reason")


@case
def without_a_routing_key():
    """Routing: by the dead-letter routing key if set, else all the original keys (those of `CC` and `BCC` too)."""
    with rabbit() as r:
        dlx = r.exchange("direct")
        queue = r.queue(x_dead_letter_exchange=dlx)
        keyed = r.queue(x_dead_letter_exchange=dlx, x_dead_letter_routing_key="own")
        by_key, by_copy, by_blind_copy, by_own = r.queue(), r.queue(), r.queue(), r.queue()
        r.bind(by_key, dlx, queue)
        r.bind(by_copy, dlx, "copy")
        r.bind(by_blind_copy, dlx, "blind é")
        r.bind(by_own, dlx, "own")
        r.publish(queue, "m", headers={"CC": ["copy"], "BCC": ["other", "blind é"]})
        reject(r, queue)
        for target in (by_key, by_copy, by_blind_copy):
            message = r.wait_get(target)
            equal((message["routingKey"], deaths(message)[0]["routing-keys"], header(message, "CC")),
                  (queue, [queue, "copy"], ["copy"]), "keys")
        equal(r.get(by_own), None, "by the queue's own key")
        r.publish(keyed, "m", headers={"CC": ["copy"], "BCC": ["blind é"]})
        reject(r, keyed)
        message = r.wait_get(by_own)
        equal((message["routingKey"], deaths(message)[0]["routing-keys"], header(message, "CC")),
              ("own", [keyed, "copy"], None), "keys")
        equal([r.get(target) for target in (by_key, by_copy, by_blind_copy)], [None] * 3, "not by the original keys")


@case
def a_dlx_that_is_not_there():
    """A DLX that does not exist drops the message silently; one made later gets the later ones."""
    with rabbit() as r:
        dlx, work = unique("later"), r.queue()
        queue = r.queue(x_dead_letter_exchange=dlx)
        r.publish(queue, "lost")
        reject(r, queue)
        equal(r.count(queue), 0, "left")
        r.exchange("fanout", dlx)
        r.bind(work, dlx)
        r.publish(queue, "found")
        reject(r, queue)
        equal(r.wait_get(work)["body"], "found", "letter")


@case
def letters_go_to_every_queue_once():
    """A dead letter goes by its exchange like any message: to each queue once, with the target's own TTL."""
    with rabbit() as r:
        dlx, last = r.exchange("topic"), r.queue()
        queue = r.queue(x_dead_letter_exchange=dlx, x_dead_letter_routing_key="a.b")
        one = r.queue()
        two = r.queue(x_message_ttl=100, x_dead_letter_exchange="", x_dead_letter_routing_key=last)
        for target in (one, two):
            r.bind(target, dlx, "a.*")
            r.bind(target, dlx, "#")
        r.publish(queue, "m")
        reject(r, queue)
        equal([m["body"] for m in [r.wait_get(one)]], ["m"], "one")
        equal(r.count(one), 0, "once")
        message = r.wait_get(last)
        equal([(entry["queue"], entry["reason"]) for entry in deaths(message)],
              [(two, "expired"), (queue, "rejected")], "x-death, most recent first")
        equal(header(message, "x-first-death-queue"), queue, "x-first-death-queue")
        equal(header(message, "x-last-death-queue"), two, "x-last-death-queue")


@case
def a_count_for_each_queue_and_reason():
    """Again from the same queue for the same reason: count + 1 and to the front; the other fields stay the first ones."""
    with rabbit() as r:
        a, b = unique("a"), unique("b")
        r.queue(a, x_dead_letter_exchange="", x_dead_letter_routing_key=b)
        r.queue(b, x_dead_letter_exchange="", x_dead_letter_routing_key=a, x_message_ttl=50)
        r.publish(a, "m", headers={"n": 1})
        for turn in range(1, 4):
            message = r.wait_get(a, no_ack=False)
            if turn > 1:
                entries = deaths(message)
                equal([(entry["queue"], entry["reason"], entry["count"]) for entry in entries],
                      [(b, "expired", turn - 1), (a, "rejected", turn - 1)], f"deaths in turn {turn}")
                first = first if turn > 2 else entries
                equal([(entry["time"], entry["routing-keys"]) for entry in entries],
                      [(entry["time"], entry["routing-keys"]) for entry in first], "the other fields")
                equal(header(message, "x-first-death-reason"), "rejected", "x-first-death-reason")
            r.ok("reject", deliveryTag=message["deliveryTag"], requeue=False)


@case
def letters_that_a_full_queue_refuses():
    """A dead letter for a full `reject-publish` queue is dropped, for a `reject-publish-dlx` one it dies there and goes on."""
    with rabbit() as r:
        last = r.queue()
        third = r.queue(x_max_length=1, x_overflow="reject-publish-dlx", x_dead_letter_exchange="",
                        x_dead_letter_routing_key=last)
        second = r.queue(x_max_length=1, x_overflow="reject-publish-dlx", x_dead_letter_exchange="",
                         x_dead_letter_routing_key=third)
        first = r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=second)
        closed = r.queue(x_max_length=1, x_overflow="reject-publish", x_dead_letter_exchange="",
                         x_dead_letter_routing_key=last)
        to_closed = r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=closed)
        for queue in (second, third, closed):
            r.publish(queue, "old")
        r.publish(to_closed, "dropped")
        reject(r, to_closed)
        r.publish(first, "goes on")
        reject(r, first)
        message = r.wait_get(last)
        equal((message["body"], [(death["queue"], death["reason"]) for death in deaths(message)]),
              ("goes on", [(third, "maxlen"), (second, "maxlen"), (first, "rejected")]), "letter")
        equal([r.bodies(queue) for queue in (first, second, third, closed, last)], [[], ["old"], ["old"], ["old"], []],
              "left")


@case
def letters_back_into_the_queue_they_died_in():
    """A refused delivery leaves room in its queue for itself: it is not ready any more when it comes back as a letter."""
    with rabbit() as r:
        for overflow in ("reject-publish", "reject-publish-dlx"):
            queue = unique("q")
            r.queue(queue, x_max_length=3, x_overflow=overflow, x_dead_letter_exchange="", x_dead_letter_routing_key=queue)
            for body in ("one", "two", "three"):
                r.publish(queue, body)
            tags = [r.get(queue, no_ack=False)["deliveryTag"] for _ in range(3)]
            r.ok("nack", deliveryTag=tags[-1], multiple=True, requeue=False)
            eventually(lambda: r.count(queue) == 3, what=f"{overflow}: all came back")
            equal(r.bodies(queue), ["one", "two", "three"], overflow)


@case
def letters_in_a_circle_of_full_queues():
    """Full queues that refuse to one another: the letter ends when it comes to one where it died."""
    with rabbit() as r:
        a, b = unique("a"), unique("b")
        for queue, other in ((a, b), (b, a)):
            r.queue(queue, x_max_length=1, x_overflow="reject-publish-dlx", x_dead_letter_exchange="",
                    x_dead_letter_routing_key=other)
            r.publish(queue, "old")
        for body in ("one", "two"):
            r.client.refused("limit_exceeded", "rabbitmq.publish", exchange="", routingKey=a, body=body)
        first = r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=a)
        r.publish(first, "rejected")
        reject(r, first)
        equal([r.bodies(queue) for queue in (first, a, b)], [[], ["old"], ["old"]], "left")
        shared = r.exchange("fanout")
        many = [r.queue(x_max_length=1, x_overflow="reject-publish-dlx", x_dead_letter_exchange=shared) for _ in range(12)]
        for queue in many:
            r.bind(queue, shared)
        r.publish("", "fills all", shared)
        r.client.refused("limit_exceeded", "rabbitmq.publish", exchange=shared, routingKey="", body="by every order of them")
        equal([r.bodies(queue) for queue in many], [["fills all"]] * 12, "left")


@case
def first_deaths_are_not_a_publishers():
    """`x-first-death-queue/-reason/-exchange` set once, by the first death, whatever the publisher put there."""
    with rabbit() as r:
        last = r.queue()
        second = r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=last)
        first = r.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=second)
        r.publish(first, "m", headers={"x-first-death-reason": "mine", "x-first-death-queue": "q"})
        reject(r, first)
        reject(r, second)
        message = r.wait_get(last)
        equal([header(message, f"x-first-death-{what}") for what in ("queue", "reason", "exchange")],
              [first, "rejected", ""], "first death")


@case
def an_automatic_cycle_ends():
    """Cycle: an earlier death in the target and no death since was `rejected`: dropped for that target."""
    with rabbit() as r:
        a, b, side = unique("a"), unique("b"), r.queue()
        dlx = r.exchange("fanout")
        r.queue(a, x_message_ttl=50, x_dead_letter_exchange="", x_dead_letter_routing_key=b)
        r.queue(b, x_message_ttl=50, x_dead_letter_exchange=dlx)
        r.bind(a, dlx)
        r.bind(side, dlx)
        r.publish(a, "m")
        message = r.wait_get(side)
        equal([(entry["queue"], entry["count"]) for entry in deaths(message)], [(b, 1), (a, 1)], "deaths")
        equal((r.count(a), r.count(b)), (0, 0), "dropped for the target where it was, not for the other")
        alone = unique("alone")
        r.queue(alone, x_message_ttl=50, x_dead_letter_exchange="")
        r.publish(alone, "m")
        eventually(lambda: r.count(alone) == 0)
        work = r.queue()
        clock = r.queue(x_message_ttl=100, x_dead_letter_exchange="", x_dead_letter_routing_key=work)
        r.publish(clock, "clock")
        r.wait_get(work)
        equal(r.count(alone), 0, "a queue that is its own target")


@case
def the_classic_waiting_queues():
    """The classic pattern: exchange -> waiting queues of 5, 10 and 30 without consumers -> DLX -> work queue."""
    with rabbit() as r:
        orders, dlx, work = r.exchange("direct", durable=True), r.exchange("direct", durable=True), r.queue(durable=True)
        r.bind(work, dlx, "order")
        for name, ttl in (("5m", 250), ("10m", 500), ("30m", 1_500)):
            waiting = r.queue(durable=True, x_message_ttl=ttl, x_dead_letter_exchange=dlx,
                              x_dead_letter_routing_key="order")
            r.bind(waiting, orders, name)
        r.consume(work)
        began = time.monotonic()
        for name in ("30m", "10m", "5m"):
            r.publish(name, name, orders, **PERSISTENT)
        for name, ttl in (("5m", 250), ("10m", 500), ("30m", 1_500)):
            event = r.deliver()
            equal(event["body"], name, "order")
            assert event.at - began >= ttl / 1000, f"{name} after {event.at - began} s"
            equal((event["exchange"], event["routingKey"], deaths(event)[0]["exchange"]), (dlx, "order", orders), "route")
            r.ack(event["deliveryTag"])


@case
def the_retry_ladder():
    """The retry ladder with growing TTLs, counted by x-death; after the last step the consumer gives up."""
    with rabbit() as r:
        work, retry, dead = unique("work"), r.exchange("direct"), r.queue()
        r.queue(work, x_dead_letter_exchange=retry, x_dead_letter_routing_key="dead")
        r.bind(dead, retry, "dead")
        ttls = (100, 200, 400)
        for step, ttl in enumerate(ttls):
            waiting = r.queue(x_message_ttl=ttl, x_dead_letter_exchange="", x_dead_letter_routing_key=work)
            r.bind(waiting, retry, f"step{step}")
        r.consume(work, prefetch=1)
        r.publish(work, "m")
        for step in range(4):
            event = r.deliver()
            retries = sum(entry["count"] for entry in event["properties"].get("headers", {}).get("x-death", ())
                          if entry["reason"] == "expired")
            equal(retries, step, "retries by x-death")
            if step == 3:
                r.nack(event["deliveryTag"], requeue=False)
                break
            began = time.monotonic()
            r.ok("publish", exchange=retry, routingKey=f"step{step}", body=event["body"], properties=event["properties"])
            r.ack(event["deliveryTag"])
            assert r.client.pushes or True
            next_event = r.client.event()
            assert next_event.at - began >= ttls[step] / 1000, f"step {step} after {next_event.at - began} s"
            r.client.pushes.appendleft(next_event)
        equal([(entry["queue"] == work, entry["reason"]) for entry in deaths(r.wait_get(dead))][0], (True, "rejected"))


@case
def a_message_that_grows_with_every_death():
    """A message to which each death adds its routing keys, a megabyte of them, ends when it is too large to be kept."""
    server = own()
    with Rabbit(server.client()) as r:
        queues = [f"q{n}" for n in range(20)]
        for n, queue in enumerate(queues):
            r.exchange("fanout", f"x{n}", durable=True)
            r.queue(queue, durable=True, x_message_ttl=1, x_dead_letter_exchange=f"x{n + 1}")
            r.bind(queue, f"x{n}")
        r.publish("k", "b", "x0", headers={"CC": ["k" * 200] * 4800}, **PERSISTENT)
        eventually(lambda: not any(r.count(queue) for queue in queues), what="the end of the message")
        server.restart()
    with Rabbit(server.client()) as r:
        equal([r.count(queue) for queue in queues], [0] * len(queues), "messages left after a restart")
