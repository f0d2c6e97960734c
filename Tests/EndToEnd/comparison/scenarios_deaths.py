"""Dead letters: reasons, headers, routing, cycles, retry ladders."""

from stage import LAST_DEATH, deaths, headers, pause, rejected, scenario, shown, to


@scenario
def last_death_headers(w):
    """x-last-death-…, which RabbitMQ has from version 4 on."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), to(dead))
    s.publish(q)
    rejected(s, q)
    found = s.wait_get(dead)["properties"]["headers"]
    w.note("headers", sorted(key for key in found if key in LAST_DEATH))


@scenario
def rejections(w):
    """nack, reject, multiple, with requeue false; without a dead-letter exchange they are gone."""
    s = w.session()
    dead, plain = s.queue(w.name("dead")), s.queue(w.name("plain"))
    q = s.queue(w.name("q"), to(dead))
    s.consume(q)
    s.publish_all(q, "abcd", headers={"h": "v"}, messageId="id", deliveryMode=2, expiration="60000")
    tags = [s.deliver()["deliveryTag"] for _ in range(4)]
    s.reject(tags[3], requeue=False)
    w.note("rejected", shown(s.wait_get(dead)))
    s.nack(tags[1], multiple=True, requeue=False)
    w.note("nacked", [s.wait_get(dead)["body"] for _ in range(2)])
    s.ack(tags[2])
    s.publish(plain)
    rejected(s, plain)
    w.note("left", [s.count(q), s.count(plain), s.count(dead)])


@scenario
def rejection_after_redelivery(w):
    """A letter of a message that was delivered several times: redelivered begins anew."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), to(dead))
    s.publish(q)
    for _ in range(3):
        s.nack(s.get(q, no_ack=False)["deliveryTag"])
    rejected(s, q)
    w.note("letter", shown(s.wait_get(dead)))


@scenario
def delivery_limit(w):
    """x-delivery-limit of a quorum queue: how often it is delivered, and the letter."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), to(dead, x_queue_type="quorum", x_delivery_limit=2), durable=True)
    s.publish(q, deliveryMode=2)
    deliveries = []
    while len(deliveries) < 6 and (message := s.get(q, no_ack=False)):
        deliveries.append(message["redelivered"])
        s.nack(message["deliveryTag"])
        pause(0.1)
    w.note("redelivered flags", deliveries)
    w.note("letter", shown(s.wait_get(dead)))
    w.note("left", s.count(q))


@scenario
def letters_without_a_key(w):
    """Without a dead-letter routing key: all the original keys, those of CC too; with one: only it, and CC goes."""
    s = w.session()
    x = s.exchange("direct", w.name("dlx"))
    q = s.queue(w.name("q"), {"x-dead-letter-exchange": x})
    keyed = s.queue(w.name("keyed"), {"x-dead-letter-exchange": x, "x-dead-letter-routing-key": "own"})
    targets = {name: s.queue(w.name(name)) for name in ("by key", "by copy", "by blind copy", "by own")}
    for name, key in (("by key", q), ("by copy", "copy"), ("by blind copy", "blind"), ("by own", "own")):
        s.bind(targets[name], x, key)
    for queue in (q, keyed):
        s.publish(queue, headers={"CC": ["copy"], "BCC": ["blind"]})
        rejected(s, queue)
        s.wait_count(targets["by key" if queue == q else "by own"], 1)
        pause(0.1)
        for name, target in targets.items():
            w.note(f"{'keyed' if queue == keyed else 'plain'}: {name}", shown(s.get(target)))


@scenario
def letters_to_a_topic_exchange(w):
    """A letter goes by its exchange like any message: once to each queue; an alternate exchange is asked."""
    s = w.session()
    alternate = s.exchange("fanout", w.name("alternate"))
    x = s.exchange("topic", w.name("dlx"), {"alternate-exchange": alternate})
    one, two, other = (s.queue(w.name(name)) for name in ("one", "two", "other"))
    for queue, key in ((one, "a.*"), (one, "#.b"), (two, "#.b")):
        s.bind(queue, x, key)
    s.bind(other, alternate)
    for label, key in (("bound", "a.b"), ("not bound", "c.d")):
        q = s.queue(w.name(label), {"x-dead-letter-exchange": x, "x-dead-letter-routing-key": key})
        s.publish(q, label)
        rejected(s, q)
        s.wait_count(one if label == "bound" else other, 1)
        pause(0.1)
        w.note(label, [[shown(s.get(queue)), s.count(queue)] for queue in (one, two, other)])


@scenario
def letters_by_headers(w):
    """A headers exchange as dead-letter exchange sees the headers, x-death and its fellows among them."""
    s = w.session()
    x = s.exchange("headers", w.name("dlx"))
    q = s.queue(w.name("q"), {"x-dead-letter-exchange": x})
    own, reason = s.queue(w.name("own")), s.queue(w.name("reason"))
    s.bind(own, x, "", {"h": 1})
    s.bind(reason, x, "", {"x-match": "all-with-x", "x-first-death-reason": "rejected"})
    s.publish(q, headers={"h": 1})
    rejected(s, q)
    s.wait_count(own, 1)
    pause(0.1)
    w.note("own header", s.bodies(own))
    w.note("by its reason", s.bodies(reason))


@scenario
def missing_dlx(w):
    """A dead-letter exchange that is not there drops; made later, it gets the later ones."""
    s = w.session()
    x, dead = w.name("later"), s.queue(w.name("dead"))
    q = s.queue(w.name("q"), {"x-dead-letter-exchange": x})
    s.publish(q, "lost")
    rejected(s, q)
    pause(0.1)
    w.note("left", s.count(q))
    s.exchange("fanout", x)
    s.bind(dead, x)
    s.publish(q, "found")
    rejected(s, q)
    w.note("letter", shown(s.wait_get(dead)))
    s.do("exchangeDelete", exchange=x)
    s.publish(q, "lost again")
    rejected(s, q)
    pause(0.1)
    w.note("dropped", [s.count(q), s.count(dead)])


@scenario
def internal_dlx(w):
    """An internal exchange takes dead letters."""
    s = w.session()
    x = s.exchange("fanout", w.name("dlx"), internal=True)
    dead, q = s.queue(w.name("dead")), s.queue(w.name("q"), {"x-dead-letter-exchange": x})
    s.bind(dead, x)
    s.publish(q)
    rejected(s, q)
    w.note("letter", shown(s.wait_get(dead)))


@scenario
def counts_by_queue_and_reason(w):
    """Again from the same queue for the same reason: count + 1 and to the front; the other fields stay the first ones."""
    s = w.session()
    a, b = w.name("a"), w.name("b")
    s.queue(a, to(b))
    s.queue(b, to(a, x_message_ttl=50))
    s.publish(a, headers={"n": 1}, expiration="60000")
    for turn in range(1, 5):
        message = s.wait_get(a, no_ack=False)
        w.note(f"turn {turn}", shown(message))
        s.reject(message["deliveryTag"], requeue=False)
    s.do("queuePurge", queue=a)


@scenario
def two_reasons_in_one_queue(w):
    """One queue with two reasons has two entries."""
    s = w.session()
    q, dead = w.name("q"), s.queue(w.name("dead"))
    s.queue(q, to(dead))
    s.publish(q, "m", expiration="50")
    letter = s.wait_get(dead)
    for _ in range(2):
        s.publish(q, "m", **{**letter["properties"]})
        rejected(s, q)
        letter = s.wait_get(dead)
        w.note(f"deaths {len(w.trace)}", deaths(letter))
    w.note("letter", shown(letter))


@scenario
def headers_of_a_publisher(w):
    """What a publisher puts into x-death and x-first-death: kept, counted on, or replaced."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), to(dead))
    known = {"count": 5, "reason": "rejected", "queue": q, "time": 1, "exchange": "e", "routing-keys": ["k"]}
    for label, own in (
        ("no array", {"x-death": "text"}), ("empty", {"x-death": []}),
        ("an entry of ours", {"x-death": [known]}), ("another entry", {"x-death": [{**known, "queue": "other"}]}),
        ("an entry without count", {"x-death": [{"reason": "rejected", "queue": q}]}),
        ("first", {"x-first-death-reason": "mine", "x-first-death-queue": "q"}), ("only a queue", {"x-first-death-queue": "q"}),
    ):
        s.publish(q, label, headers=own)
        rejected(s, q)
        found = headers(s.wait_get(dead))
        w.note(label, found.pop("x-death"))
        w.note(f"{label}: the rest", found)


@scenario
def order_of_deaths(w):
    """Most recent first, also with three and four of them."""
    s = w.session()
    queues = [w.name(letter) for letter in "abcde"]
    for queue, target in zip(queues, queues[1:]):
        s.queue(queue, to(target, x_message_ttl=50))
    s.queue(queues[-1])
    for n in range(3):
        s.publish(queues[n])
        w.note(f"{4 - n} deaths", [queue[-1] for queue, _, _ in deaths(s.wait_get(queues[-1]))])


@scenario
def cycles(w):
    """A circle of deaths nobody's refusal is part of ends; for each target by itself."""
    s = w.session()
    a, b, side = w.name("a"), w.name("b"), s.queue(w.name("side"))
    x = s.exchange("fanout", w.name("x"))
    s.queue(a, to(b, x_message_ttl=50))
    s.queue(b, {"x-message-ttl": 50, "x-dead-letter-exchange": x})
    s.bind(a, x)
    s.bind(side, x)
    s.publish(a)
    w.note("at the side", shown(s.wait_get(side)))
    pause(0.3)
    w.note("left", [s.count(queue) for queue in (a, b, side)])
    alone = w.name("alone")
    s.queue(alone, to(alone, x_message_ttl=50))
    s.publish(alone)
    pause(0.3)
    w.note("its own target, expired", s.count(alone))
    refused = w.name("refused")
    s.queue(refused, to(refused))
    s.publish(refused)
    rejected(s, refused)
    rejected(s, refused)
    w.note("its own target, rejected", shown(s.wait_get(refused)))


@scenario
def a_rejection_in_the_circle(w):
    """A refusal anywhere since the queue was last visited lets the message go round."""
    s = w.session()
    a, b, c = w.name("a"), w.name("b"), w.name("c")
    s.queue(a, to(b, x_message_ttl=50))
    s.queue(b, to(c))
    s.queue(c, to(a, x_message_ttl=50))
    s.publish(a)
    for turn in range(3):
        pause(0.5)
        message = s.get(b, no_ack=False)
        w.note(f"turn {turn}", message and sorted(deaths(message)))
        if message:
            s.reject(message["deliveryTag"], requeue=False)


@scenario
def waiting_queues(w):
    """The classic delay: waiting queues without consumers, a dead-letter exchange, a work queue."""
    s = w.session()
    orders, x = s.exchange("direct", w.name("orders")), s.exchange("direct", w.name("timeouts"))
    work = s.queue(w.name("work"))
    s.bind(work, x, "order")
    for name, ttl in (("5m", 150), ("10m", 450), ("30m", 900)):
        queue = s.queue(w.name(name), {"x-message-ttl": ttl, "x-dead-letter-exchange": x, "x-dead-letter-routing-key": "order"})
        s.bind(queue, orders, name)
    s.consume(work)
    for name in ("30m", "10m", "5m"):
        s.publish(name, name, exchange=orders)
    for turn in range(3):
        delivery = s.deliver()
        w.note(f"delivery {turn}", [shown(delivery), delivery["deliveryTag"]])
        s.ack(delivery["deliveryTag"])


@scenario
def retry_ladder(w):
    """Growing waits between attempts, counted by x-death; at the end the consumer gives up."""
    s = w.session()
    work, retry, dead = w.name("work"), s.exchange("direct", w.name("retry")), s.queue(w.name("dead"))
    s.queue(work, {"x-dead-letter-exchange": retry, "x-dead-letter-routing-key": "dead"})
    s.bind(dead, retry, "dead")
    for step, ttl in enumerate((50, 100, 150)):
        s.bind(s.queue(w.name(f"wait{step}"), to(work, x_message_ttl=ttl)), retry, f"step{step}")
    s.consume(work, prefetch=1)
    s.publish(work, "job", messageId="id")
    for step in range(4):
        delivery = s.deliver()
        w.note(f"attempt {step}", sorted(deaths(delivery)))
        w.note(f"attempt {step}, most recent", headers(delivery).get("x-death", [None])[0])
        w.note(f"attempt {step}, the rest", [delivery["routingKey"], delivery["exchange"], delivery["redelivered"]])
        if step == 3:
            s.nack(delivery["deliveryTag"], requeue=False)
        else:
            s.publish(f"step{step}", delivery["body"], exchange=retry, **delivery["properties"])
            s.ack(delivery["deliveryTag"])
    w.note("given up", sorted(deaths(s.wait_get(dead))))


@scenario
def retry_by_rejection(w):
    """The consumer refuses; a waiting queue leads back; the circle goes on because a refusal is part of it."""
    s = w.session()
    work, wait = w.name("work"), w.name("wait")
    s.queue(work, to(wait))
    s.queue(wait, to(work, x_message_ttl=60))
    s.consume(work, prefetch=1)
    s.publish(work, "job")
    for turn in range(4):
        delivery = s.deliver()
        w.note(f"turn {turn}", [delivery["deliveryTag"], delivery["redelivered"], deaths(delivery)])
        s.nack(delivery["deliveryTag"], requeue=False)
