"""Consumers, gets, acknowledgements, and what comes back."""

from stage import pause, scenario, shown


@scenario
def get(w):
    """get: a message with how many are left, or empty; each needs its acknowledgement unless noAck."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    w.note("empty", s.get(q))
    s.publish_all(q, "abc")
    first = s.get(q, no_ack=False)
    w.note("first", [shown(first), first["deliveryTag"], first["messageCount"]])
    second = s.get(q)
    w.note("second, noAck", [second["body"], second["deliveryTag"], second["messageCount"]])
    w.note("ack of noAck", s.attempt("ack", here=True, deliveryTag=second["deliveryTag"]))


@scenario
def turns(w):
    """Consumers of a queue take turns."""
    one, two, three, q = w.session(), w.session(), w.session(), w.name("q")
    for number, s in enumerate((one, two, three)):
        if not number:
            s.queue(q)
        s.consume(q, f"c{number}")
    for body in "abcdef":
        one.publish(q, body)
    w.note("bodies", [s.delivered(2) for s in (one, two, three)])
    same = w.session()
    other = same.queue(w.name("other"))
    same.consume(other, "x")
    same.consume(other, "y")
    same.publish_all(other, "abcd")
    w.note("on one connection", [[d["consumerTag"], d["body"], d["deliveryTag"]] for d in (same.deliver() for _ in range(4))])


@scenario
def prefetch(w):
    """Prefetch bounds what a consumer has unacknowledged; others get the rest."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    s.consume(q, prefetch=2)
    s.publish_all(q, "abcdef")
    w.note("two", s.delivered(2))
    w.note("no third", [s.deliver(0.15), s.declared(q)])
    s.ack(1)
    w.note("one more", s.delivered(1))
    s.ack(3, multiple=True)
    w.note("two more", s.delivered(2))
    other = w.session()
    other.consume(q, "other", prefetch=1)
    w.note("another gets the rest", other.delivered(1))
    w.note("declared", s.declared(q))


@scenario
def no_ack(w):
    """noAck: nothing is kept, prefetch does not hold."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    s.consume(q, no_ack=True, prefetch=1)
    s.publish_all(q, "abc")
    w.note("all", s.delivered(3))
    w.note("left", s.declared(q))
    w.note("ack", s.attempt("ack", here=True, deliveryTag=1))
    s.drop()
    other = w.session()
    pause(0.1)
    w.note("nothing comes back", other.declared(q))


@scenario
def multiple(w):
    """ack and nack of all up to a tag, of all with tag 0; over several queues and gets."""
    s = w.session()
    q, p = s.queue(w.name("q")), s.queue(w.name("p"))
    s.publish_all(q, "abcdef")
    s.publish_all(p, "uvw")
    for queue in (q, p, q, p, q, q):
        s.get(queue, no_ack=False)
    s.ack(3, multiple=True)
    w.note("the third is known no more", s.attempt("ack", here=False, deliveryTag=99))
    s.nack(5, multiple=True)
    w.note("back", [[shown(s.get(q)), s.get(q)["body"]], [s.get(p)["body"], s.get(p)["body"]]])
    s.ack(0, multiple=True)
    s.drop()
    other = w.session()
    pause(0.1)
    w.note("left", [other.bodies(q), other.bodies(p)])


@scenario
def unknown_tags(w):
    """A tag that is not out: 406."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    for op, fields in (("ack", {"deliveryTag": 1}), ("nack", {"deliveryTag": 5}), ("reject", {"deliveryTag": 5}),
                       ("ack", {"deliveryTag": 5, "multiple": True}), ("ack", {"deliveryTag": 0}),
                       ("nack", {"deliveryTag": 5, "multiple": True}), ("reject", {"deliveryTag": 0}),
                       ("ack", {"deliveryTag": 0, "multiple": True}),
                       ("nack", {"deliveryTag": 0, "multiple": True, "requeue": False})):
        w.note(f"{op} {fields}", s.attempt(op, here=True, **fields))


@scenario
def twice(w):
    """The same tag twice: 406 the second time, also by multiple."""
    for op in ("ack", "nack", "reject"):
        s, q = w.session(), w.name(op)
        s.queue(q)
        s.publish_all(q, "ab")
        tag = s.get(q, no_ack=False)["deliveryTag"]
        s.do(op, deliveryTag=tag, **({} if op == "ack" else {"requeue": False}))
        w.note(op, s.attempt(op, here=True, deliveryTag=tag))
        s = w.session()
        tag = s.get(q, no_ack=False)["deliveryTag"]
        s.ack(tag, multiple=True)
        w.note(f"{op}, multiple", s.attempt("ack", here=True, deliveryTag=tag, multiple=True))


@scenario
def requeue(w):
    """A message that comes back stands in its old place, redelivered."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    s.publish_all(q, "abcde")
    tags = {body: s.get(q, no_ack=False)["deliveryTag"] for body in "abcd"}
    s.reject(tags["c"], requeue=True)
    s.nack(tags["a"])
    w.note("order", [[m["body"], m["redelivered"], m["messageCount"]] for m in (s.get(q) for _ in range(3))])
    s.reject(tags["d"], requeue=True)
    s.publish(q, "f")
    s.nack(tags["b"])
    w.note("order again", [[m["body"], m["redelivered"]] for m in (s.get(q) for _ in range(3))])
    s.consume(q)
    s.publish_all(q, "xyz")
    x, y, z = (s.deliver() for _ in range(3))
    s.nack(z["deliveryTag"])
    w.note("to the same consumer", shown(s.deliver()))
    s.nack(y["deliveryTag"], multiple=True)
    w.note("both in order", [shown(s.deliver())["body"] for _ in range(2)])
    w.note("tags count on", s.publish(q, "last") and s.deliver()["deliveryTag"])


@scenario
def connection_lost(w):
    """What a lost connection had comes back to its old place with redelivered; also its gets."""
    s, other, q = w.session(), w.session(), w.name("q")
    s.queue(q)
    s.publish_all(q, "abcdef")
    s.consume(q, prefetch=2)
    w.note("delivered", s.delivered(2))
    w.note("got", s.get(q, no_ack=False)["body"])
    s.ack(1)
    w.note("one more", s.delivered(1))
    w.note("declared", other.declared(q))
    s.drop()
    other.wait_count(q, 5)
    w.note("afterwards", [other.declared(q), [[m["body"], m["redelivered"]] for m in (other.get(q) for _ in range(5))]])


@scenario
def connection_lost_to_another(w):
    """They go to another consumer of the queue."""
    s, other, q = w.session(), w.session(), w.name("q")
    s.queue(q)
    s.consume(q, "one")
    s.publish_all(q, "abc")
    s.delivered(3)
    other.consume(q, "two")
    other.publish(q, "d")
    w.note("by turns", [other.deliver(0.3) and "d", s.deliver(0.3) and "d"])
    s.drop()
    deliveries = [other.deliver() for _ in range(3)]
    w.note("redelivered", [[d["body"], d["redelivered"]] for d in deliveries])


@scenario
def cancelling(w):
    """Cancelling ends deliveries; what is out stays out until it is settled."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    s.publish_all(q, "abcd")
    s.consume(q, "tag", prefetch=2)
    first = [s.deliver() for _ in range(2)]
    w.note("cancel", s.do("cancel", consumerTag="tag")["consumerTag"])
    w.note("declared", s.declared(q))
    s.ack(first[0]["deliveryTag"])
    w.note("nothing comes", s.deliver(0.15))
    s.nack(first[1]["deliveryTag"])
    w.note("back", [[m["body"], m["redelivered"]] for m in (s.get(q) for _ in range(3))])
    w.note("the tag is free", s.consume(q, "tag"))
    w.note("cancel twice", [s.attempt("cancel", here=True, consumerTag="tag"), s.attempt("cancel", here=True, consumerTag="tag")])


@scenario
def consumer_tags(w):
    """A made tag begins amq.ctag-; the same tag twice on a connection is 530; on another it is not."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    made = [s.consume(q, "") for _ in range(2)]
    w.note("made", [tag[:9] for tag in made] + [len(set(made))])
    s.consume(q, "mine")
    other = w.session()
    w.note("another connection", other.consume(q, "mine"))
    w.note("declared", s.declared(q))
    w.note("twice", s.attempt("consume", here=True, queue=q, consumerTag="mine"))


@scenario
def message_counts(w):
    """messageCount is what is ready: not what is out, not what expired."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    s.publish_all(q, "abcde")
    w.note("ready", s.declared(q))
    s.get(q, no_ack=False)
    w.note("one is out", s.declared(q))
    s.consume(q, "c", prefetch=2)
    s.delivered(2)
    w.note("three are out", s.declared(q))
    w.note("declare says the same", [s.do("queueDeclare", queue=q)[name] for name in ("messageCount", "consumerCount")])
    w.note("purge", s.do("queuePurge", queue=q)["messageCount"])
    w.note("delete", s.do("queueDelete", queue=q)["messageCount"])


@scenario
def delivery_tags(w):
    """Tags count up over consumers and gets of a connection, noAck ones too, and begin anew with the next."""
    s = w.session()
    q, p = s.queue(w.name("q")), s.queue(w.name("p"))
    s.consume(q, "c")
    s.publish_all(p, "abcdef")
    tags = []
    for _ in range(2):
        tags.append(s.get(p)["deliveryTag"])
        s.publish(q, "m")
        tags.append(s.deliver()["deliveryTag"])
        tags.append(s.get(p, no_ack=False)["deliveryTag"])
    w.note("tags", tags)
    w.note("another connection", w.session().get(p)["deliveryTag"])


@scenario
def published_order(w):
    """Messages of one publisher come in their order."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    bodies = [str(n) for n in range(200)]
    w.note("confirms", set(s.publish_all(q, bodies)) == {"ack"})
    w.note("order", s.bodies(q) == bodies)


@scenario
def a_large_message(w):
    """A body over several frames, a key of 255 bytes."""
    s, q = w.session(), w.name("q").ljust(255, "k")
    s.queue(q)
    body = "0123456789é" * 30_000
    w.note("publish", s.publish(q, body))
    message = s.get(q)
    w.note("the same", message["body"] == body)
    w.note("an empty one", [s.publish(q, ""), shown(s.get(q))])


@scenario
def redelivered_flags(w):
    """redelivered is false at first, true after each way back, also when nobody looked at it."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    s.publish(q)
    flags = []
    for how in ("nack", "reject", "drop", "none"):
        message = s.wait_get(q, no_ack=False)
        flags.append(message["redelivered"])
        if how == "drop":
            s.drop()
            s = w.session()
        elif how != "none":
            s.do(how, deliveryTag=message["deliveryTag"], requeue=True)
    w.note("flags", flags)


@scenario
def refused_and_going_on(w):
    """What a refusal does to the connection's other work."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    s.consume(q, "c")
    s.publish(q, "out")
    s.deliver()
    w.note("refused", s.attempt("get", here=True, queue=w.name("none")))
    pause(0.1)
    w.note("the message and the consumer", s.declared(q))
