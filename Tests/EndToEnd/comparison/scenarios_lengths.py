"""Queues of bounded length: what goes, what is refused."""

from stage import pause, rejected, scenario, shown, to


@scenario
def drop_head(w):
    """x-max-length: the oldest ready message goes, as dead letter with reason maxlen; what is out does not count."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    q = s.queue(w.name("q"), to(dead, x_max_length=3))
    w.note("confirms", s.publish_all(q, "abcde"))
    w.note("letters", [shown(s.wait_get(dead)), s.wait_get(dead)["body"]])
    w.note("left", [s.count(q), s.bodies(q)])
    s.consume(q, prefetch=2)
    s.publish_all(q, "12345")
    out = [s.deliver() for _ in range(2)]
    w.note("two are out", [s.count(q), s.count(dead)])
    s.publish(q, "6")
    w.note("the oldest ready", s.wait_get(dead)["body"])
    s.do("cancel", consumerTag="c")
    s.nack(out[1]["deliveryTag"], multiple=True)
    w.note("too many came back", [s.wait_get(dead)["body"] for _ in range(2)])
    w.note("left of them", s.bodies(q))
    none = s.queue(w.name("none"), to(dead, x_max_length=0))
    w.note("length 0", s.publish(none, "nothing"))
    w.note("its letter", shown(s.wait_get(dead)))
    s.consume(none, "taker")
    s.publish(none, "taken")
    w.note("length 0 with a consumer", s.delivered(1))


@scenario
def length_in_bytes(w):
    """x-max-length-bytes: bytes of the bodies of ready messages."""
    s = w.session()
    q = s.queue(w.name("q"), {"x-max-length-bytes": 10})
    s.publish_all(q, ["12345", "12345"])
    w.note("ten fit", s.count(q))
    s.publish(q, "é\n")
    w.note("three more", s.bodies(q))
    s.publish(q, "12345678901", headers={"long": "x" * 100})
    w.note("larger than the bound", s.bodies(q))
    s.publish(q, "1234567890", headers={"long": "x" * 100})
    w.note("headers do not count", s.bodies(q))
    s.publish_all(q, ["", "", "", "1234567890"])
    w.note("empty bodies", s.bodies(q))
    both = s.queue(w.name("both"), {"x-max-length-bytes": 10, "x-max-length": 2})
    s.publish_all(both, ["1", "2", "3", "123456789", "4", "5"])
    w.note("both bounds", s.bodies(both))


@scenario
def reject_publish(w):
    """The publish is nacked; other queues get the message; no dead letter."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    x = s.exchange("fanout", w.name("x"))
    full = s.queue(w.name("full"), to(dead, x_max_length=2, x_overflow="reject-publish"))
    other = s.queue(w.name("other"))
    s.bind(full, x)
    s.bind(other, x)
    w.note("confirms", s.publish_all("", "abcd", exchange=x))
    pause(0.1)
    w.note("bodies", [s.bodies(full), s.bodies(other), s.bodies(dead)])
    w.note("room again", s.publish("", "e", exchange=x))
    w.note("mandatory into a full one", [s.publish(full, "f"), s.publish(full, "g", mandatory=True)])
    held = s.get(full, no_ack=False)
    w.note("what is out does not count", s.publish(full, "h"))
    s.nack(held["deliveryTag"])
    w.note("too many came back", s.bodies(full))


@scenario
def reject_publish_dlx(w):
    """The publish is nacked, and the message is a dead letter with reason maxlen."""
    s = w.session()
    dead = s.queue(w.name("dead"))
    full = s.queue(w.name("full"), to(dead, x_max_length=1, x_overflow="reject-publish-dlx"))
    w.note("confirms", s.publish_all(full, "ab", headers={"h": 1}))
    w.note("letter", shown(s.wait_get(dead)))
    w.note("left", s.bodies(full))


@scenario
def reject_publish_bytes(w):
    """reject-publish with a bound in bytes: full only when the bound is reached."""
    s = w.session()
    full = s.queue(w.name("full"), {"x-max-length-bytes": 10, "x-overflow": "reject-publish"})
    w.note("confirms", s.publish_all(full, ["12345", "1234567", "1", "2"]))
    w.note("left", s.bodies(full))


@scenario
def letters_into_a_full_queue(w):
    """A dead letter for a queue that is full."""
    s = w.session()
    for overflow in ("drop-head", "reject-publish"):
        full = s.queue(w.name(overflow), {"x-max-length": 1, "x-overflow": overflow})
        q = s.queue(w.name(f"to {overflow}"), to(full))
        s.publish(full, "old")
        s.publish(q, "letter")
        rejected(s, q)
        pause(0.2)
        w.note(overflow, [s.count(q), s.bodies(full)])
