"""What is declared, declared again, passed over, refused, purged and deleted."""

from stage import pause, scenario, shown

HOUR_MS = 3_600_000
TEN_YEARS_MS = 315_360_000_000


@scenario
def missing(w):
    """What is not there: 404 with its name; deleting it is no error."""
    s, none = w.session(), w.name("none")
    q, x = s.queue(w.name("q")), s.exchange("direct", w.name("x"))
    for op, fields in (
        ("publish", {"exchange": none, "routingKey": "k", "body": "m", "properties": {}}),
        ("exchangeDeclare", {"exchange": none, "type": "direct", "passive": True}),
        ("queueDeclare", {"queue": none, "passive": True}), ("queuePurge", {"queue": none}),
        ("consume", {"queue": none}), ("get", {"queue": none}), ("queueDelete", {"queue": none}),
        ("queueDelete", {"queue": none, "ifUnused": True}), ("exchangeDelete", {"exchange": none}),
        ("exchangeDelete", {"exchange": none, "ifUnused": True}),
        ("queueBind", {"queue": none, "exchange": x, "routingKey": ""}),
        ("queueBind", {"queue": q, "exchange": none, "routingKey": ""}),
        ("queueBind", {"queue": none, "exchange": none, "routingKey": ""}),
        ("queueUnbind", {"queue": none, "exchange": x, "routingKey": ""}),
        ("queueUnbind", {"queue": q, "exchange": none, "routingKey": ""}),
        ("queueUnbind", {"queue": none, "exchange": none, "routingKey": ""}),
        ("cancel", {"consumerTag": "none"}),
    ):
        w.note(f"{op} {fields}", s.attempt(op, **fields))


@scenario
def exchange_again(w):
    """Declaring an exchange again: the same is nothing, other settings are 406 with the first that differs."""
    s, x = w.session(), w.name("x")
    fields = {"exchange": x, "type": "topic", "durable": True, "arguments": {"alternate-exchange": "amq.fanout"}}
    for label, changes in (
        ("first", {}), ("same", {}), ("type", {"type": "fanout"}), ("durable", {"durable": False}),
        ("autoDelete", {"autoDelete": True}), ("internal", {"internal": True}), ("no alternate", {"arguments": {}}),
        ("other alternate", {"arguments": {"alternate-exchange": "amq.direct"}}),
        ("more arguments", {"arguments": {"alternate-exchange": "amq.fanout", "mine": 1}}),
        ("two differ", {"durable": False, "autoDelete": True}), ("type and durable", {"type": "direct", "durable": False}),
        ("passive with all others", {"passive": True, "type": "direct", "durable": False, "arguments": {}}),
    ):
        w.note(label, s.attempt("exchangeDeclare", **{**fields, **changes}))
    plain = s.exchange("direct", w.name("plain"))
    w.note("an alternate where none was", s.attempt(
        "exchangeDeclare", exchange=plain, type="direct", arguments={"alternate-exchange": "amq.fanout"}))
    w.note("unknown type", s.attempt("exchangeDeclare", exchange=w.name("y"), type="unknown"))
    for value in (5, True, None, ["x"]):
        w.note(f"alternate {value!r}", s.attempt(
            "exchangeDeclare", exchange=w.name("z"), type="direct", arguments={"alternate-exchange": value}))
    w.note("unknown argument", s.attempt("exchangeDeclare", exchange=w.name("a"), type="direct", arguments={"x-mine": 1}))


QUEUE_ARGUMENTS = {
    "x-message-ttl": 60_000, "x-expires": HOUR_MS, "x-dead-letter-exchange": "d", "x-dead-letter-routing-key": "k",
    "x-max-length": 10, "x-max-length-bytes": 100, "x-overflow": "drop-head",
}


@scenario
def queue_again(w):
    """Declaring a queue again: other settings are 406 `inequivalent arg`, with both values."""
    s, q = w.session(), w.name("q")
    s.queue(q, QUEUE_ARGUMENTS)

    def again(label, arguments=QUEUE_ARGUMENTS, **fields):
        w.note(label, s.attempt("queueDeclare", queue=q, arguments=arguments, **fields))

    again("same")
    again("other order", dict(reversed(QUEUE_ARGUMENTS.items())))
    others = {**{key: 7 for key in QUEUE_ARGUMENTS}, "x-dead-letter-exchange": "e", "x-dead-letter-routing-key": "l",
              "x-overflow": "reject-publish"}
    for key, other in others.items():
        again(f"other {key}", {**QUEUE_ARGUMENTS, key: other})
        again(f"without {key}", {name: value for name, value in QUEUE_ARGUMENTS.items() if name != key})
    for flag in ("durable", "autoDelete", "exclusive"):
        again(flag, **{flag: True})
    again("all flags", durable=True, autoDelete=True, exclusive=True)
    again("durable and no arguments", {}, durable=True)
    again("passive with all others", {}, passive=True, durable=True)
    again("an argument of ours", {**QUEUE_ARGUMENTS, "mine": 1})
    again("a text for a number", {**QUEUE_ARGUMENTS, "x-message-ttl": "60000"})
    again("a fraction", {**QUEUE_ARGUMENTS, "x-message-ttl": 60_000.0})
    plain = s.queue(w.name("plain"), {"mine": 1})
    w.note("classic where none was", s.attempt("queueDeclare", queue=plain, arguments={"x-queue-type": "classic"}))
    kept = s.queue(w.name("kept"), durable=True)
    for kind in ("quorum", "stream", "none"):
        w.note(f"{kind} where none was", s.attempt("queueDeclare", queue=kept, durable=True,
                                                   arguments={"x-queue-type": kind}))
    quorum = s.queue(w.name("quorum"), {"x-queue-type": "quorum"}, durable=True)
    for kind in ("classic", "quorum"):
        w.note(f"{kind} for quorum", s.attempt("queueDeclare", queue=quorum, durable=True,
                                               arguments={"x-queue-type": kind}))
    classic = s.queue(w.name("classic"), {"x-queue-type": "classic"})
    w.note("none for classic", s.attempt("queueDeclare", queue=classic))
    w.note("none for quorum", s.attempt("queueDeclare", queue=quorum, durable=True))
    w.note("a bad value where none was", s.attempt("queueDeclare", queue=plain, arguments={"x-expires": -1}))
    for key, value in QUEUE_ARGUMENTS.items():
        if key != "x-dead-letter-routing-key":
            w.note(f"{key} where none was", s.attempt("queueDeclare", queue=plain, arguments={key: value}))
    w.note("plain again", s.attempt("queueDeclare", queue=plain))
    lazy = s.queue(w.name("lazy"), {"x-queue-mode": "lazy"})
    w.note("not lazy", s.attempt("queueDeclare", queue=lazy))


@scenario
def arguments_of_queues(w):
    """Values that arguments take or do not: wrong types, negative, zero, too large."""
    s = w.session()
    number = 0
    for key in ("x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes"):
        for value in (-1, 0, 1, TEN_YEARS_MS, TEN_YEARS_MS + 1, 2**62, "5", "", 1.5, True, None, [5], {"a": 5}):
            number += 1
            w.note(f"{key} {value!r}", s.attempt("queueDeclare", queue=w.name(f"q{number}"), arguments={key: value}))
    for key in ("x-dead-letter-exchange", "x-overflow", "x-queue-mode"):
        for value in ("", "no such", 5, True, None, ["x"]):
            number += 1
            w.note(f"{key} {value!r}", s.attempt("queueDeclare", queue=w.name(f"q{number}"), arguments={key: value}))
    for value in ("", "k", 5, None):
        number += 1
        arguments = {"x-dead-letter-exchange": "d", "x-dead-letter-routing-key": value}
        w.note(f"x-dead-letter-routing-key {value!r}", s.attempt(
            "queueDeclare", queue=w.name(f"q{number}"), arguments=arguments))
    w.note("a key without exchange", s.attempt(
        "queueDeclare", queue=w.name("key"), arguments={"x-dead-letter-routing-key": "k"}))
    for overflow in ("drop-head", "reject-publish", "reject-publish-dlx"):
        w.note(f"x-overflow {overflow}", s.attempt(
            "queueDeclare", queue=w.name(overflow), arguments={"x-overflow": overflow}))
    w.note("nothing was made", s.is_there(w.name("key")))


@scenario
def delivery_limits(w):
    """x-delivery-limit, which RabbitMQ has in quorum queues."""
    s = w.session()
    for number, value in enumerate((0, 3, -1, "3", None)):
        w.note(f"{value!r}", s.attempt("queueDeclare", queue=w.name(f"q{number}"), durable=True,
                                       arguments={"x-queue-type": "quorum", "x-delivery-limit": value}))
    w.note("another limit", s.attempt("queueDeclare", queue=w.name("q1"), durable=True,
                                      arguments={"x-queue-type": "quorum", "x-delivery-limit": 4}))
    w.note("in a classic queue", s.attempt("queueDeclare", queue=w.name("classic"), arguments={"x-delivery-limit": 3}))


@scenario
def arguments_we_do_not_have(w):
    """Arguments of RabbitMQ that our queues do not have, and such as nobody has."""
    s = w.session()
    for number, (key, value) in enumerate((("x-max-priority", 5), ("x-single-active-consumer", True), ("x-mine", 1),
                                           ("mine", 1), ("x-queue-type", "stream"), ("x-queue-type", "none"))):
        w.note(f"{key} {value}", s.attempt("queueDeclare", queue=w.name(f"q{number}"), durable=True,
                                           arguments={key: value}))


@scenario
def server_named(w):
    """The empty name makes one; afterwards the empty name means the queue declared last."""
    s = w.session()
    names = [s.queue("") for _ in range(3)]
    w.note("different, with prefix", [len(set(names)), [name[:8] for name in names]])
    s.publish(names[2], "m")
    w.note("get from the last", s.do("get", queue="", noAck=True)["body"])
    w.note("passive", s.attempt("queueDeclare", queue="", passive=True))
    s.queue(w.name("named"))
    w.note("another was declared last", s.do("get", queue="", noAck=True))
    names.append(s.queue(""))
    s.do("queueBind", queue="", exchange="amq.direct", routingKey=w.name("k"))
    s.publish(w.name("k"), "bound", exchange="amq.direct")
    w.note("bound the last", s.bodies(names[3]))
    w.note("delete the last", s.do("queueDelete", queue="")["messageCount"])
    w.note("gone", [s.is_there(name) for name in names])
    w.note("declare again by its name", s.attempt("queueDeclare", queue=names[0])[:40])
    other = w.session()
    w.note("none declared: get", other.attempt("get", here=True, queue=""))
    w.note("none declared: consume", other.attempt("consume", here=True, queue=""))
    w.note("none declared: purge", other.attempt("queuePurge", here=True, queue=""))


@scenario
def exclusive(w):
    """An exclusive queue is its connection's: 405 for others, gone with it."""
    mine, other, q = w.session(), w.session(), w.name("q")
    mine.queue(q, exclusive=True)
    w.note("mine again", mine.attempt("queueDeclare", queue=q, exclusive=True))
    mine.bind(q, "amq.fanout", "bound")
    w.note("mine, not exclusive", mine.attempt("queueDeclare", queue=q))
    for op, fields in (("queueDeclare", {}), ("queueDeclare", {"exclusive": True}), ("queueDeclare", {"passive": True}),
                       ("consume", {}), ("get", {}), ("queuePurge", {}), ("queueDelete", {}),
                       ("queueBind", {"exchange": "amq.fanout", "routingKey": ""}),
                       ("queueUnbind", {"exchange": "amq.fanout", "routingKey": ""}),
                       ("queueUnbind", {"exchange": "amq.fanout", "routingKey": "bound"})):
        w.note(f"{op} {fields} by another", other.attempt(op, queue=q, **fields))
    other.publish(q, "from another")
    w.note("published by another", mine.bodies(q))
    mine.drop()
    for _ in range(50):
        pause(0.02)
        if not other.is_there(q):
            break
    w.note("gone with its connection", other.is_there(q))
    w.note("another may have it", other.attempt("queueDeclare", queue=q))
    third = w.session()
    w.note("now exclusive", third.attempt("queueDeclare", queue=q, exclusive=True))


@scenario
def auto_delete(w):
    """An auto-delete queue goes with its last consumer, not before the first; cancelled or dropped."""
    s, other = w.session(), w.session()
    q, kept = s.queue(w.name("q"), autoDelete=True), s.queue(w.name("kept"), autoDelete=True)
    s.publish(q)
    w.note("get is no consumer", [s.bodies(q), s.is_there(q)])
    s.consume(q, "one")
    s.consume(q, "two")
    w.note("two consumers", s.declared(q))
    s.do("cancel", consumerTag="one")
    w.note("one left", s.declared(q))
    s.do("cancel", consumerTag="two")
    pause(0.1)
    w.note("none left", s.is_there(q))
    s.queue(q, autoDelete=True)
    other.consume(q)
    other.drop()
    for _ in range(50):
        pause(0.02)
        if not s.is_there(q):
            break
    w.note("its connection dropped", s.is_there(q))
    w.note("never consumed", s.is_there(kept))


@scenario
def auto_delete_exchange(w):
    """An auto-delete exchange goes with its last binding; ifUnused keeps one that has bindings."""
    s = w.session()
    x, q = s.exchange("direct", w.name("x"), autoDelete=True), s.queue(w.name("q"))

    def is_there():
        return s.attempt("exchangeDeclare", exchange=x, type="direct", passive=True) == "ok"

    w.note("before the first binding", is_there())
    s.bind(q, x, "a")
    s.bind(q, x, "b")
    w.note("delete if unused", s.attempt("exchangeDelete", exchange=x, ifUnused=True))
    s.do("queueUnbind", queue=q, exchange=x, routingKey="a")
    w.note("one left", is_there())
    s.do("queueUnbind", queue=q, exchange=x, routingKey="b")
    w.note("none left", is_there())
    s.exchange("direct", x, autoDelete=True)
    s.bind(q, x, "a")
    s.do("queueDelete", queue=q)
    w.note("its queue is gone", is_there())
    s.exchange("direct", x)
    w.note("unused", s.attempt("exchangeDelete", exchange=x, ifUnused=True))
    w.note("after deleting", is_there())


@scenario
def deleting_an_exchange(w):
    """Its bindings go with it, also those of a queue that stays."""
    s = w.session()
    x, q = s.exchange("fanout", w.name("x")), s.queue(w.name("q"))
    s.bind(q, x)
    w.note("in use", s.attempt("exchangeDelete", exchange=x, ifUnused=True))
    w.note("delete", s.attempt("exchangeDelete", exchange=x))
    w.note("publish", s.attempt("publish", exchange=x, routingKey="", body="m", properties={}))
    s.exchange("fanout", x)
    w.note("made again", s.publish("", exchange=x, mandatory=True))
    w.note("unused now", s.attempt("exchangeDelete", exchange=x, ifUnused=True))


@scenario
def purge(w):
    """Purging takes the ready messages and says how many."""
    s, q = w.session(), w.name("q")
    dead = s.queue(w.name("dead"))
    s.queue(q, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    w.note("empty", s.do("queuePurge", queue=q)["messageCount"])
    s.publish_all(q, "abcde")
    held = s.get(q, no_ack=False)
    w.note("purged", s.do("queuePurge", queue=q)["messageCount"])
    w.note("count", s.declared(q))
    s.nack(held["deliveryTag"])
    w.note("what was out", shown(s.get(q)))
    pause(0.1)
    w.note("no dead letters", s.bodies(dead))


@scenario
def delete_queue(w):
    """ifUnused, ifEmpty, the count; consumers are told; tags of what was delivered mean nothing any more."""
    s, other, q = w.session(), w.session(), w.name("q")
    dead = s.queue(w.name("dead"))
    s.queue(q, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    s.publish_all(q, "xyz")
    w.note("not empty", s.attempt("queueDelete", queue=q, ifEmpty=True))
    s.consume(q, "tag", prefetch=1)
    first = s.deliver()
    w.note("in use", other.attempt("queueDelete", queue=q, ifUnused=True))
    w.note("in use and not empty", other.attempt("queueDelete", queue=q, ifUnused=True, ifEmpty=True))
    w.note("deleted", other.do("queueDelete", queue=q)["messageCount"])
    w.note("event", s.event(5))
    w.note("ack afterwards", s.attempt("ack", here=True, deliveryTag=first["deliveryTag"]))
    pause(0.1)
    w.note("no dead letters", s.bodies(dead))
    w.note("is there", s.is_there(q))
    s.queue(q)
    w.note("made again", s.declared(q))
    s.publish(q)
    s.get(q, no_ack=False)
    w.note("only unacknowledged: ifEmpty", other.attempt("queueDelete", queue=q, ifEmpty=True))


@scenario
def names(w):
    """Names of up to 255 bytes of any text."""
    s = w.session()
    for label, name in (("255 bytes", w.name("q").ljust(255, "x")), ("é", w.name("é \"\\/")), ("dots", w.name("..")),
                        ("percent", w.name("%2f%00"))):
        w.note(f"queue: {label}", s.attempt("queueDeclare", queue=name))
        w.note(f"exchange: {label}", s.attempt("exchangeDeclare", exchange=name, type="fanout"))
        w.note(f"bind: {label}", s.attempt("queueBind", queue=name, exchange=name, routingKey=name))
        w.note(f"publish: {label}", s.publish(name, exchange=name, mandatory=True))
        w.note(f"get: {label}", shown(s.get(name)))
