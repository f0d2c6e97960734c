"""Time to live of messages and queues."""

import time

from stage import headers, pause, scenario, shown

TEN_YEARS_MS = 315_360_000_000


@scenario
def expirations(w):
    """`expiration` is a string holding an integer from 0 to ten years; everything else is 406 with the cause."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    for text in ("", " ", "x", "1x", "1 ", " 1", "1.5", "1e3", "-1", "-0", "+1", "+0", "007", "0x10", "0", "60000",
                 str(TEN_YEARS_MS), str(TEN_YEARS_MS + 1), str(2**32), str(2**64), "9" * 40, "-" + "9" * 40, "--1",
                 "+-1", "1-", "1\n", "1;2", "é", "5é", "1\u0661", "-", "+", "-x", "1,000"):
        w.note(f"expiration {text!r}", s.attempt("publish", exchange="", routingKey=q, body="m",
                                                 properties={"expiration": text}))
    w.note("on a queue that is not there", s.attempt("publish", exchange="", routingKey=w.name("none"), body="m",
                                                     properties={"expiration": "bad"}))
    w.note("mandatory and bad", s.attempt("publish", exchange="", routingKey=w.name("none"), body="m", mandatory=True,
                                          properties={"expiration": "bad"}))
    w.note("no such exchange and bad", s.attempt("publish", exchange=w.name("none"), routingKey="", body="m",
                                                 properties={"expiration": "bad"}))


@scenario
def ttl_of_the_queue(w):
    """x-message-ttl: gone after it, with and without dead-letter exchange; `expiration` is not made up."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), {"x-message-ttl": 300, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    plain = s.queue(w.name("plain"), {"x-message-ttl": 300})
    began = time.monotonic()
    s.publish(q, "a", messageId="id", headers={"own": 1})
    s.publish(plain, "b")
    w.note("at first", [s.count(q), s.count(plain), s.count(dead)])
    letter = s.wait_get(dead)
    w.note("not early", time.monotonic() - began >= 0.3)
    w.note("letter", shown(letter))
    s.wait_count(plain, 0)
    w.note("left", [s.count(q), s.count(plain)])


@scenario
def ttl_of_the_message(w):
    """`expiration`: the same; it becomes `original-expiration`."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    x = s.exchange("topic", w.name("x"))
    q = s.queue(w.name("q"), {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    s.bind(q, x, "a.#")
    s.publish("a.b", "m", exchange=x, expiration="0150", deliveryMode=2, correlationId="c")
    letter = s.wait_get(dead)
    w.note("letter", shown(letter))
    w.note("order of the entry's fields", list(letter["properties"]["headers"]["x-death"][0]))


@scenario
def the_smaller_counts(w):
    """The smaller of both; a larger `expiration` is kept as original-expiration all the same."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    short = s.queue(w.name("short"), {"x-message-ttl": 150, **arguments})
    long = s.queue(w.name("long"), {"x-message-ttl": 60_000, **arguments})
    s.publish(short, "by the queue", expiration="60000")
    w.note("by the queue", shown(s.wait_get(dead)))
    s.publish(long, "by the message", expiration="150")
    w.note("by the message", shown(s.wait_get(dead)))


@scenario
def ttl_zero(w):
    """TTL 0: delivered to a ready consumer, else expired at once; of the queue or the message."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    for label, q, more in (
        ("queue", s.queue(w.name("queue"), {"x-message-ttl": 0, **arguments}), {}),
        ("message", s.queue(w.name("message"), arguments), {"expiration": "0"}),
    ):
        w.note(f"{label}: publish", s.publish(q, "nobody", mandatory=True, **more))
        w.note(f"{label}: letter", shown(s.wait_get(dead)))
        w.note(f"{label}: left", [s.count(q), s.get(q)])
        s.consume(q, label, prefetch=1)
        s.publish(q, "taken", **more)
        delivery = s.deliver()
        w.note(f"{label}: delivered", shown(delivery))
        s.publish(q, "busy", **more)
        w.note(f"{label}: the consumer is busy", s.wait_get(dead)["body"])
        s.nack(delivery["deliveryTag"])
        again = s.deliver(0.5)
        w.note(f"{label}: requeued to the ready consumer", shown(again))
        if again:
            s.do("cancel", consumerTag=label)
            s.nack(again["deliveryTag"])
            w.note(f"{label}: requeued to nobody", shown(s.wait_get(dead)))
    plain = s.queue(w.name("plain"), {"x-message-ttl": 0})
    s.publish(plain)
    w.note("without dead letters", s.get(plain))


@scenario
def kept_on_requeue(w):
    """Only ready messages expire; the clock runs on while one is out, and is not wound up by a requeue."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), {"x-message-ttl": 300, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    s.publish(q, "m")
    held = s.get(q, no_ack=False)
    pause(0.5)
    w.note("out", [s.count(q), s.count(dead)])
    s.nack(held["deliveryTag"])
    letter = s.wait_get(dead)
    w.note("overdue when it came back", [letter["body"], letter["redelivered"], s.count(q)])
    s.publish(q, "acknowledged late")
    held = s.get(q, no_ack=False)
    pause(0.5)
    s.ack(held["deliveryTag"])
    pause(0.1)
    w.note("acknowledged late", [s.count(q), s.count(dead)])


@scenario
def head_of_line(w):
    """A long-lived message in front of short-lived ones."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    s.publish(q, "long", expiration="60000")
    s.publish(q, "short", expiration="100")
    pause(0.4)
    w.note("after the shorter's time", [s.count(q), s.bodies(dead)])
    head = s.get(q)
    w.note("head", head["body"])
    pause(0.1)
    w.note("after the head went", [s.count(q), s.bodies(dead)])


@scenario
def in_due_order(w):
    """Messages of one queue whose times are in order expire in order; each not before its own."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    for n in range(5):
        s.publish(q, str(n), expiration=str(100 + 50 * n))
    w.note("letters", [s.wait_get(dead)["body"] for _ in range(5)])


@scenario
def never_expires_with_consumer(w):
    """A consumer gets what is there in time; nothing expires under it."""
    s = w.session()
    q = s.queue(w.name("q"), {"x-message-ttl": 200})
    s.consume(q, prefetch=2)
    s.publish_all(q, "abcd")
    first = [s.deliver() for _ in range(2)]
    pause(0.4)
    w.note("ready ones went", s.count(q))
    s.ack(first[1]["deliveryTag"], multiple=True)
    w.note("no more comes", shown(s.deliver(0.2)))


@scenario
def queue_expires(w):
    """x-expires: an unused queue goes, with no dead letters; consumers, gets and declarations are use, publishing is not."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    arguments = {"x-expires": 500, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    unused, consumed = s.queue(w.name("unused"), arguments), s.queue(w.name("consumed"), arguments)
    got, declared = s.queue(w.name("got"), arguments), s.queue(w.name("declared"), arguments)
    s.consume(consumed)
    for _ in range(8):
        s.publish(unused, "no use")
        pause(0.1)
        s.get(got)
        s.queue(declared, arguments)
    w.note("unused", s.is_there(unused))
    w.note("with a consumer", s.is_there(consumed))
    w.note("with gets", s.is_there(got))
    w.note("declared again", s.is_there(declared))
    s.do("cancel", consumerTag="c")
    w.note("after cancelling", s.is_there(consumed))
    pause(0.9)
    w.note("later", [s.is_there(queue) for queue in (consumed, got, declared)])
    w.note("no dead letters", s.bodies(dead))


@scenario
def looking_at_a_queue_that_expires(w):
    """A passive declaration of a queue that goes when it is not used."""
    s, q = w.session(), w.name("q")
    s.queue(q, {"x-expires": 400})
    for _ in range(8):
        pause(0.1)
        s.is_there(q)
    w.note("after twice its time", s.is_there(q))


@scenario
def expires_in_target(w):
    """A dead letter has the time to live of the queue that it comes to, not its old one."""
    s = w.session()
    last = s.queue(w.name("last"))
    second = s.queue(w.name("second"), {"x-message-ttl": 150, "x-dead-letter-exchange": "",
                                        "x-dead-letter-routing-key": last})
    first = s.queue(w.name("first"), {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second})
    for_ever = s.queue(w.name("for ever"))
    kept = s.queue(w.name("kept"), {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": for_ever})
    s.publish(first, "m", expiration="100")
    s.publish(kept, "k", expiration="100")
    w.note("through two queues", shown(s.wait_get(last)))
    pause(0.3)
    w.note("it does not expire again", s.count(for_ever))
    w.note("headers", headers(s.get(for_ever)))
