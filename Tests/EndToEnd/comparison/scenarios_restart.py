"""What is there after a stop in good order and a start."""

from stage import deaths, pause, scenario, shown, to

PERSISTENT, TRANSIENT = {"deliveryMode": 2}, {"deliveryMode": 1}


@scenario
def restart(w):
    """Durable queues with persistent messages stay as they were; all else goes."""
    s = w.session()
    dead = s.queue(w.name("dead"), durable=True)
    q = s.queue(w.name("q"), to(dead), durable=True)
    waiting = s.queue(w.name("waiting"), to(dead, x_message_ttl=1000), durable=True)
    x = s.exchange("topic", w.name("x"), durable=True)
    s.bind(q, x, "a.#")
    passing = s.queue(w.name("passing"))
    fleeting = s.exchange("fanout", w.name("fleeting"))
    s.bind(q, fleeting)
    s.bind(passing, x, "a.#")
    s.queue(w.name("exclusive"), durable=True, exclusive=True)
    s.queue(w.name("auto-delete"), durable=True, autoDelete=True)
    s.exchange("direct", w.name("auto-delete"), durable=True, autoDelete=True)
    s.publish_all(q, "abcdef", headers={"h": [1, None]}, **PERSISTENT)
    s.publish_all(q, "xyz", **TRANSIENT)
    s.publish(q, "no mode")
    s.publish(passing, "gone", **PERSISTENT)
    s.publish(waiting, "expires meanwhile", **PERSISTENT)
    s.publish(waiting, "expires meanwhile by itself", expiration="900", **PERSISTENT)
    s.publish(q, "dies", **PERSISTENT)
    tags = [s.get(q, no_ack=False)["deliveryTag"] for _ in range(4)]
    s.ack(tags[0])
    s.reject(tags[1], requeue=False)
    s.nack(tags[2])
    s.wait_count(dead, 1)
    w.note("before", [s.count(queue) for queue in (q, waiting, dead)])
    pause(0.2)
    w.restart()
    s = w.session()
    w.note("declared", {name: s.is_there(w.name(name))
                        for name in ("q", "waiting", "dead", "passing", "exclusive", "auto-delete")})
    w.note("exchanges", {name: s.attempt("exchangeDeclare", exchange=w.name(name), type="topic", passive=True) == "ok"
                         for name in ("x", "fleeting", "auto-delete")})
    w.note("the same declaration", s.attempt("queueDeclare", queue=waiting, durable=True,
                                             arguments=to(dead, x_message_ttl=1000)))
    w.note("bound", s.publish("a.b", "new", exchange=x, mandatory=True))
    messages = []
    while message := s.get(q):
        messages.append([message["body"], message["redelivered"], message["properties"].get("headers")])
    w.note("bodies", [body for body, _, _ in messages])
    w.note("headers", messages[0][2:])
    w.note("redelivered", [[body, redelivered] for body, redelivered, _ in messages])
    s.wait_count(dead, 3)
    letters = [s.get(dead) for _ in range(3)]
    w.note("letters", sorted([letter["body"], deaths(letter)] for letter in letters))
    w.note("a letter", shown(next(letter for letter in letters if letter["body"] == "b")))
