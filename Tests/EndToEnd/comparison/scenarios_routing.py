"""Where a message goes: exchanges of each type, bindings, alternates, copies, what comes back."""

from stage import scenario, shown


def matching(s, queues):
    """The names of those queues that have messages, which it takes, and how many when it is more than one."""
    found = {name: s.bodies(queue) for name, queue in queues.items()}
    return [name if len(bodies) == 1 else [name, len(bodies)] for name, bodies in found.items() if bodies]


@scenario
def default_exchange(w):
    """Routes to the queue named by the key; cannot be declared, deleted or bound."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    w.note("publish", s.publish(q, "a"))
    w.note("publish to nowhere", s.publish(w.name("none"), "b"))
    w.note("message", shown(s.get(q)))
    w.note("left", s.get(q))
    w.note("declare", s.attempt("exchangeDeclare", exchange="", type="direct"))
    w.note("declare passively", s.attempt("exchangeDeclare", exchange="", type="direct", passive=True))
    w.note("delete", s.attempt("exchangeDelete", exchange=""))
    w.note("bind", s.attempt("queueBind", queue=q, exchange="", routingKey="k"))
    w.note("unbind", s.attempt("queueUnbind", queue=q, exchange="", routingKey=q))
    w.note("still routes", s.publish(q, "c", mandatory=True))


@scenario
def predeclared_exchanges(w):
    """amq.direct … are there with their types, durable, and cannot be deleted; other names with amq. are refused."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    for kind, name in (("direct", "direct"), ("fanout", "fanout"), ("topic", "topic"), ("headers", "headers"),
                       ("headers", "match")):
        exchange = f"amq.{name}"
        w.note(f"{exchange} passive", s.attempt("exchangeDeclare", exchange=exchange, type=kind, passive=True))
        w.note(f"{exchange} again", s.attempt("exchangeDeclare", exchange=exchange, type=kind, durable=True))
        w.note(f"{exchange} other", s.attempt("exchangeDeclare", exchange=exchange, type=kind))
        w.note(f"{exchange} delete", s.attempt("exchangeDelete", exchange=exchange))
        s.bind(q, exchange, "a.key", {"h": 1})
        w.note(f"{exchange} routes", s.publish("a.key", mandatory=True, exchange=exchange, headers={"h": 1}))
    w.note("messages", len(s.bodies(q)))
    w.note("reserved exchange", s.attempt("exchangeDeclare", exchange="amq.mine", type="direct"))
    w.note("reserved exchange, passive", s.attempt("exchangeDeclare", exchange="amq.mine", type="direct", passive=True))
    w.note("delete a reserved name", s.attempt("exchangeDelete", exchange="amq.mine"))
    w.note("reserved queue", s.attempt("queueDeclare", queue="amq.mine"))
    w.note("reserved queue, passive", s.attempt("queueDeclare", queue="amq.mine", passive=True))
    w.note("delete a reserved queue", s.attempt("queueDelete", queue="amq.mine"))
    w.note("almost reserved", s.attempt("exchangeDeclare", exchange="amqx." + w.name("x"), type="direct"))


@scenario
def direct_exchange(w):
    """Equal keys, byte by byte."""
    s = w.session()
    x = s.exchange("direct", w.name("x"))
    queues = {}
    for key in ("k", "K", "", "é", "e\u0301", "*", "#", "a.b", " k"):
        queues[key] = s.queue(w.name(f"q{len(queues)}"))
        s.bind(queues[key], x, key)
    for key in (*queues, "kk", "x"):
        s.publish(key, exchange=x)
        w.note(f"key {key!r}", matching(s, queues))


@scenario
def fanout_exchange(w):
    """Every bound queue, whatever the key; an unbound one no more."""
    s = w.session()
    x = s.exchange("fanout", w.name("x"))
    queues = {f"q{n}": s.queue(w.name(f"q{n}")) for n in range(3)}
    for name, queue in queues.items():
        s.bind(queue, x, name)
    s.publish("q1", exchange=x)
    w.note("all", matching(s, queues))
    s.do("queueUnbind", queue=queues["q1"], exchange=x, routingKey="q1")
    s.do("queueUnbind", queue=queues["q2"], exchange=x, routingKey="another key")
    s.publish("q1", exchange=x)
    w.note("after unbinding", matching(s, queues))


TOPIC_PATTERNS = (
    "", "#", "*", "#.#", "*.#", "#.*", "*.*", "#.*.#", "*.#.*", "a", "a.*", "a.#", "#.a", "*.a", "#.b", "a.*.b", "a.#.b",
    "a..b", "a.", ".a", ".", "..", "*.", ".*", "#.", ".#", "*..*", "#.a.#", "a.#.#", "a.#.*", "*.a.#", "aa", "a*", "#a",
    "a.b.c", "#.b.#.c", "*.b.*", "é.*",
)
TOPIC_KEYS = ("", "a", "b", "aa", "a*", "#a", "#", "*", "a.b", "a.a", "b.a", "a.", ".a", ".", "..", "a..b", "a.x.b",
              "a.x.y.b", "a.b.c", "x.b.y", "x.b.y.z.c", "a.*", "a.#", "é.x", "a.a.a.a.a")


@scenario
def topic_exchange(w):
    """Words split at dots; `*` is one word, `#` none or more; the empty key, empty words, and patterns of only wildcards."""
    s = w.session()
    x = s.exchange("topic", w.name("x"))
    queues = {pattern: s.queue(w.name(f"q{n}")) for n, pattern in enumerate(TOPIC_PATTERNS)}
    for pattern, queue in queues.items():
        s.bind(queue, x, pattern)
    for key in TOPIC_KEYS:
        w.note(f"confirm of {key!r}", s.publish(key, exchange=x))
        w.note(f"patterns that match {key!r}", matching(s, queues))
    for pattern in ("#", "a.#", "*", "#.#"):
        s.do("queueUnbind", queue=queues[pattern], exchange=x, routingKey=pattern)
    for key in ("a", "a.b", ""):
        s.publish(key, exchange=x)
        w.note(f"with fewer bindings, {key!r}", matching(s, queues))


@scenario
def headers_exchange(w):
    """x-match all (also by default), any, all-with-x, any-with-x; a void value asks for presence; empty ones."""
    s = w.session()
    x = s.exchange("headers", w.name("x"))
    bindings = {
        "default": {"a": 1, "b": "two"}, "all": {"x-match": "all", "a": 1, "b": "two"},
        "any": {"x-match": "any", "a": 1, "b": "two"}, "all skips x-": {"x-match": "all", "a": 1, "x-o": 1},
        "any skips x-": {"x-match": "any", "a": 1, "x-o": 1},
        "all-with-x": {"x-match": "all-with-x", "a": 1, "x-o": 1},
        "any-with-x": {"x-match": "any-with-x", "a": 1, "x-o": 1}, "presence": {"a": None},
        "any presence": {"x-match": "any", "a": None, "b": None}, "empty": {}, "empty all": {"x-match": "all"},
        "empty any": {"x-match": "any"}, "empty all-with-x": {"x-match": "all-with-x"},
        "empty any-with-x": {"x-match": "any-with-x"}, "only x-": {"x-o": 1}, "boolean": {"t": True},
        "float": {"f": 1.5}, "array": {"l": [1, "x", None]}, "table": {"t": {"u": 1, "v": "w"}}, "empty text": {"e": ""},
        "key is ignored": {"k": 1},
    }
    queues = {name: s.queue(w.name(f"q{n}")) for n, name in enumerate(bindings)}
    for name, arguments in bindings.items():
        s.bind(queues[name], x, "key" if name == "key is ignored" else "", arguments)
    for headers in (
        None, {}, {"a": 1}, {"a": 2}, {"a": "1"}, {"a": True}, {"a": None}, {"a": 1.0}, {"b": "two"}, {"a": 1, "b": "two"},
        {"a": 1, "b": "TWO"}, {"a": 1, "b": "two", "c": 3}, {"x-o": 1}, {"x-o": 2}, {"a": 1, "x-o": 1},
        {"a": 1, "x-o": 2}, {"A": 1}, {"t": True}, {"t": False}, {"t": 1}, {"f": 1.5}, {"l": [1, "x", None]},
        {"l": [1, "x"]}, {"t": {"u": 1, "v": "w"}}, {"t": {"v": "w", "u": 1}}, {"e": ""}, {"e": None}, {"k": 1},
        {"x-match": "all"}, {"x-match": "any", "a": 1},
    ):
        s.publish("other", exchange=x, **({} if headers is None else {"headers": headers}))
        w.note(f"bindings that match {headers}", matching(s, queues))


@scenario
def bad_header_bindings(w):
    """x-match with another value is refused; on an exchange of another type it is not looked at."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    x, direct = s.exchange("headers", w.name("x")), s.exchange("direct", w.name("direct"))
    for value in ("some", "ALL", "", 1, None, True):
        w.note(f"x-match {value!r}", s.attempt("queueBind", queue=q, exchange=x, arguments={"x-match": value}))
    w.note("elsewhere", s.attempt("queueBind", queue=q, exchange=direct, routingKey="k", arguments={"x-match": "some"}))
    w.note("unbind", s.attempt("queueUnbind", queue=q, exchange=x, arguments={"x-match": "some"}))


@scenario
def once_for_a_queue(w):
    """A queue gets a message once, however many bindings match; binding again is nothing new; unbinding what is not."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    x = s.exchange("topic", w.name("x"))
    for key in ("a.#", "#.b", "a.b", "a.b"):
        s.bind(q, x, key)
    s.publish("a.b", exchange=x)
    w.note("bodies", s.bodies(q))
    for key in ("a.#", "#.b"):
        s.do("queueUnbind", queue=q, exchange=x, routingKey=key)
    s.publish("a.b", exchange=x)
    w.note("one is left", s.bodies(q))
    w.note("never bound", s.attempt("queueUnbind", queue=q, exchange=x, routingKey="never"))
    s.do("queueUnbind", queue=q, exchange=x, routingKey="a.b")
    s.publish("a.b", exchange=x)
    w.note("none", s.bodies(q))


@scenario
def bindings_by_arguments(w):
    """Bindings with other arguments are other bindings, in every type of exchange, in any order of the arguments."""
    s = w.session()
    for kind in ("direct", "fanout", "topic", "headers"):
        q, x = s.queue(w.name(f"q-{kind}")), s.exchange(kind, w.name(kind))
        s.bind(q, x, "k", {"a": 1, "b": 2})
        s.bind(q, x, "k", {"b": 2, "a": 1})
        s.bind(q, x, "k", {"a": 1})
        s.do("queueUnbind", queue=q, exchange=x, routingKey="k", arguments={"a": 1})
        w.note(f"{kind}, one left", s.publish("k", exchange=x, mandatory=True, headers={"a": 1, "b": 2}))
        s.do("queueUnbind", queue=q, exchange=x, routingKey="k", arguments={})
        w.note(f"{kind}, not unbound", s.publish("k", exchange=x, mandatory=True, headers={"a": 1, "b": 2}))
        s.do("queueUnbind", queue=q, exchange=x, routingKey="k", arguments={"b": 2, "a": 1})
        w.note(f"{kind}, none left", s.publish("k", exchange=x, mandatory=True, headers={"a": 1, "b": 2}))


@scenario
def alternate_exchange(w):
    """Asked when the exchange itself routed to nothing: a chain, a circle, one that is not there, a default exchange."""
    s = w.session()
    last = s.exchange("fanout", w.name("last"))
    middle = s.exchange("direct", w.name("middle"), {"alternate-exchange": last})
    first = s.exchange("direct", w.name("first"), {"alternate-exchange": middle})
    queues = {name: s.queue(w.name(name)) for name in ("one", "two", "three")}
    s.bind(queues["one"], first, "one")
    s.bind(queues["two"], middle, "two")
    s.bind(queues["three"], last)
    for key in ("one", "two", "other"):
        w.note(f"confirm of {key}", s.publish(key, key, exchange=first, mandatory=True))
    for name, queue in queues.items():
        w.note(f"queue {name}", shown(s.get(queue)))
    circle = w.name("circle")
    s.exchange("direct", circle, {"alternate-exchange": circle})
    w.note("a circle", s.publish("k", exchange=circle, mandatory=True))
    missing = s.exchange("direct", w.name("missing"), {"alternate-exchange": w.name("none")})
    w.note("one that is not there", s.publish("k", exchange=missing, mandatory=True))
    plain = s.exchange("direct", w.name("plain"), {"alternate-exchange": ""})
    w.note("the default exchange", s.publish(queues["one"], exchange=plain, mandatory=True))
    w.note("by the default exchange", s.bodies(queues["one"]))
    s.do("queueDelete", queue=queues["two"])
    s.publish("two", exchange=first)
    w.note("the queue of the middle is gone", s.bodies(queues["three"]))
    s.do("exchangeDelete", exchange=last)
    w.note("the last is gone", s.publish("x", exchange=first, mandatory=True))


@scenario
def alternate_to_internal(w):
    """An internal exchange takes nothing from publishers but serves as alternate."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    inner = s.exchange("fanout", w.name("inner"), internal=True)
    s.bind(q, inner)
    x = s.exchange("direct", w.name("x"), {"alternate-exchange": inner})
    w.note("internal", s.attempt("publish", exchange=inner, routingKey="k", body="m", properties={}))
    w.note("by the alternate", s.publish("k", exchange=x, mandatory=True))
    w.note("bodies", s.bodies(q))


@scenario
def copies(w):
    """CC and BCC name further keys; BCC is not shown; values of other types are ignored or refused."""
    s = w.session()
    q = [s.queue(w.name(f"q{n}")) for n in range(4)]
    s.publish(q[0], headers={"CC": [q[1], q[0]], "BCC": [q[2]], "k": 1})
    for n in range(3):
        w.note(f"queue {n}", shown(s.get(q[n])))
    w.note("only by a copy", s.publish(w.name("none"), mandatory=True, headers={"CC": [q[3]]}))
    w.note("queue 3", shown(s.get(q[3])))
    w.note("only BCC", s.publish(q[0], headers={"BCC": [q[1]]}))
    w.note("without headers left", [shown(s.get(q[0])), shown(s.get(q[1]))])
    w.note("text", s.attempt("publish", exchange="", routingKey=q[0], body="m", properties={"headers": {"CC": q[1]}}))
    w.note("numbers", s.attempt("publish", exchange="", routingKey=q[0], body="m", properties={"headers": {"BCC": [5]}}))
    w.note("queues after that", [s.bodies(queue) for queue in q])
    returned = s.publish(w.name("none"), mandatory=True, headers={"CC": [w.name("none2")], "BCC": [w.name("none3")]})
    w.note("returned", returned)
    x = s.exchange("topic", w.name("x"))
    s.bind(q[0], x, "a.*")
    s.bind(q[1], x, "b.*")
    s.publish("a.1", exchange=x, headers={"CC": ["b.1", "a.2"]})
    w.note("by a topic exchange", [s.bodies(q[0]), s.bodies(q[1])])


@scenario
def mandatory(w):
    """Nothing routed: returned with 312 NO_ROUTE before the confirm, as it was sent."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    x = s.exchange("direct", w.name("x"))
    properties = {"messageId": "m1", "headers": {"h": [1, "two", None, {"t": True}]}, "expiration": "1000", "priority": 5}
    w.note("returned", s.publish("k", "back", exchange=x, mandatory=True, **properties))
    w.note("without properties", s.publish("k", "", exchange=x, mandatory=True))
    w.note("not mandatory", s.publish("k", exchange=x))
    s.bind(q, x, "k")
    w.note("routed", s.publish("k", "taken", exchange=x, mandatory=True, **properties))
    w.note("message", shown(s.get(q)))
    w.note("default exchange", s.publish(w.name("none"), mandatory=True))
    s.consume(q)
    s.publish("k", "delivered", exchange=x)
    w.note("with a delivery between", s.publish("none", exchange=x, mandatory=True))
    w.note("the delivery", s.delivered(1))


@scenario
def properties(w):
    """All properties and headers of every kind come as they went."""
    s, q = w.session(), w.name("q")
    s.queue(q)
    x = s.exchange("direct", w.name("x"))
    s.bind(q, x, "k\"é")
    everything = {
        "contentType": "text/plain", "contentEncoding": "utf-8", "deliveryMode": 1, "priority": 3, "correlationId": "c",
        "replyTo": "r", "expiration": "600000", "messageId": "m", "timestamp": 1234567890, "type": "t",
        "userId": "guest", "appId": "a",
        "headers": {"n": -5, "big": 2**53, "f": 2.5, "t": True, "v": None, "s": "é\n\"", "l": [1, [2], {"a": []}],
                    "table": {"x": {"y": "z"}}, "": "empty key"},
    }
    s.publish("k\"é", "line\nbreak \u2028 \"quoted\" \\ \U0001f600", exchange=x, **everything)
    w.note("all", shown(s.get(q)))
    s.publish("k\"é", "", exchange=x, headers={})
    w.note("empty headers", shown(s.get(q)))
    s.publish(q, "\0")
    w.note("no properties", shown(s.get(q)))
    s.publish(q, "m", priority=0, timestamp=0, contentType="", deliveryMode=2)
    w.note("zero and empty", shown(s.get(q)))
    for mode in (0, 3):
        w.note(f"deliveryMode {mode}", s.attempt("publish", exchange="", routingKey=q, body="m",
                                                 properties={"deliveryMode": mode}))
        w.note(f"after deliveryMode {mode}", s.bodies(q))
    w.note("another's user id", s.attempt("publish", exchange="", routingKey=q, body="m", properties={"userId": "eve"}))
