"""RabbitMQ front end: exchanges, bindings, routing, declarations and their refusals."""

from escapement_driver import equal, eventually, unique
from rabbitmq_client import Rabbit
from suite import case, connect


def rabbit():
    return Rabbit(connect())


@case
def the_default_exchange():
    """Default exchange `""`: routes to the queue named by the key; cannot be declared or bound."""
    with rabbit() as r:
        queue = r.queue()
        r.publish(queue, "a")
        r.publish(unique("nowhere"), "lost")
        equal(r.bodies(queue), ["a"], "bodies")
        r.refused("forbidden", 403, "exchangeDeclare", exchange="", type="direct")
        r.refused("forbidden", 403, "queueBind", queue=queue, exchange="", routingKey="k")
        r.refused("forbidden", 403, "exchangeDelete", exchange="")


@case
def predeclared_exchanges():
    """Pre-declared: amq.direct amq.fanout amq.topic amq.headers amq.match; other names beginning amq. are refused (403)."""
    with rabbit() as r:
        for name, kind in (("direct", "direct"), ("fanout", "fanout"), ("topic", "topic"), ("headers", "headers"),
                           ("match", "headers")):
            r.ok("exchangeDeclare", exchange=f"amq.{name}", passive=True)
            r.ok("exchangeDeclare", exchange=f"amq.{name}", type=kind, durable=True)
            r.refused("forbidden", 403, "exchangeDelete", exchange=f"amq.{name}")
        r.refused("forbidden", 403, "exchangeDeclare", exchange="amq.mine", type="direct")
        r.refused("forbidden", 403, "queueDeclare", queue="amq.mine")
        queue = r.queue()
        r.bind(queue, "amq.topic", "a.#")
        r.publish("a.b", exchange="amq.topic")
        equal(r.count(queue), 1, "routed by amq.topic")


@case
def a_direct_exchange():
    """direct: equal keys."""
    with rabbit() as r:
        exchange, one, two = r.exchange("direct"), r.queue(), r.queue()
        r.bind(one, exchange, "k")
        r.bind(two, exchange, "k")
        r.bind(two, exchange, "é")
        for key in ("k", "é", "e\u0301", "", "kk"):
            r.publish(key, key, exchange)
        equal(r.bodies(one), ["k"], "one")
        equal(r.bodies(two), ["k", "é"], "two")


@case
def a_fanout_exchange():
    """fanout: all."""
    with rabbit() as r:
        exchange, queues = r.exchange("fanout"), [r.queue() for _ in range(3)]
        for queue in queues:
            r.bind(queue, exchange, unique("ignored"))
        r.publish("whatever", "m", exchange)
        equal([r.bodies(queue) for queue in queues], [["m"]] * 3, "bodies")


@case
def a_topic_exchange():
    """topic: words split at `.`; `*` one word, `#` none or more; the empty key is no words."""
    with rabbit() as r:
        exchange = r.exchange("topic")
        patterns = ("#", "*", "a.*", "a.#", "#.b", "a.*.b", "a.#.b", "*.*", "", "#.#", "a..b", "*.#.c")
        queues = {pattern: r.queue() for pattern in patterns}
        for pattern, queue in queues.items():
            r.bind(queue, exchange, pattern)
        table = {
            "": ("#", "", "#.#"),
            "a": ("#", "*", "a.#", "#.#"),
            "b": ("#", "*", "#.b", "#.#"),
            "a.b": ("#", "a.*", "a.#", "#.b", "a.#.b", "*.*", "#.#"),
            "a.x.b": ("#", "a.#", "#.b", "a.*.b", "a.#.b", "#.#"),
            "a..b": ("#", "a.#", "#.b", "a.*.b", "a.#.b", "#.#", "a..b"),
            "x.y.z.c": ("#", "#.#", "*.#.c"),
            "x.c": ("#", "#.#", "*.#.c", "*.*"),
        }
        for key, expected in table.items():
            r.publish(key, "m", exchange)
            got = {pattern for pattern, queue in queues.items() if r.bodies(queue)}
            equal(got, set(expected), f"patterns that match {key!r}")


@case
def a_headers_exchange():
    """headers: all (default), any, all-with-x, any-with-x; null asks for presence; empty all matches, empty any nothing."""
    with rabbit() as r:
        exchange = r.exchange("headers")
        bindings = {
            "all": {"x-match": "all", "a": 1, "b": "two"},
            "default": {"a": 1, "b": "two"},
            "any": {"x-match": "any", "a": 1, "b": "two"},
            "skips-x": {"x-match": "all", "a": 1, "x-other": 1},
            "all-with-x": {"x-match": "all-with-x", "a": 1, "x-other": 1},
            "any-with-x": {"x-match": "any-with-x", "x-other": 1},
            "any-only-x": {"x-match": "any", "x-other": 1},
            "presence": {"a": None},
            "empty-all": {"x-match": "all"},
            "empty-any": {"x-match": "any"},
        }
        queues = {name: r.queue() for name in bindings}
        for name, arguments in bindings.items():
            r.bind(queues[name], exchange, "", arguments)
        table = (
            ({"a": 1, "b": "two"}, {"all", "default", "any", "skips-x", "presence", "empty-all"}),
            ({"a": 1}, {"any", "skips-x", "presence", "empty-all"}),
            ({"a": 1.0}, {"any", "skips-x", "presence", "empty-all"}),
            ({"a": "1"}, {"presence", "empty-all"}),
            ({"a": 1.5}, {"presence", "empty-all"}),
            ({"x-other": 1}, {"any-with-x", "empty-all"}),
            ({"a": 1, "x-other": 1}, {"any", "skips-x", "all-with-x", "any-with-x", "presence", "empty-all"}),
            ({}, {"empty-all"}),
        )
        for headers, expected in table:
            r.publish("", "m", exchange, headers=headers)
            equal({name for name, queue in queues.items() if r.bodies(queue)}, expected, f"matches of {headers!r}")
        r.refused("precondition_failed", 406, "queueBind", queue=queues["all"], exchange=exchange,
                  arguments={"x-match": "some"})


@case
def once_for_a_queue():
    """A message reaches a queue once, however many bindings match; the same binding again is one."""
    with rabbit() as r:
        exchange, queue = r.exchange("topic"), r.queue()
        for key in ("a.#", "#.b", "a.b", "a.b"):
            r.bind(queue, exchange, key)
        r.publish("a.b", "m", exchange)
        equal(r.bodies(queue), ["m"], "bodies")
        for key in ("a.#", "#.b", "a.b"):
            r.ok("queueUnbind", queue=queue, exchange=exchange, routingKey=key)
        r.publish("a.b", "m", exchange)
        equal(r.bodies(queue), [], "after unbinding")
        r.ok("queueUnbind", queue=queue, exchange=exchange, routingKey="never bound")


@case
def bindings_with_arguments_are_different_bindings():
    """Bindings with arguments: told apart by them, and unbound by them."""
    with rabbit() as r:
        exchange, queue = r.exchange("headers"), r.queue()
        r.bind(queue, exchange, "", {"a": 1})
        r.bind(queue, exchange, "", {"a": 2})
        r.ok("queueUnbind", queue=queue, exchange=exchange, routingKey="", arguments={"a": 1})
        r.publish("", "one", exchange, headers={"a": 1})
        r.publish("", "two", exchange, headers={"a": 2})
        equal(r.bodies(queue), ["two"], "bodies")


@case
def the_alternate_exchange():
    """`alternate-exchange` is tried only when the exchange itself routed to nothing."""
    with rabbit() as r:
        last = r.exchange("fanout")
        middle = r.exchange("direct", arguments={"alternate-exchange": last})
        first = r.exchange("direct", arguments={"alternate-exchange": middle})
        queues = [r.queue() for _ in range(3)]
        r.bind(queues[0], first, "one")
        r.bind(queues[1], middle, "two")
        r.bind(queues[2], last)
        for key in ("one", "two", "three"):
            r.publish(key, key, first)
        equal([r.bodies(queue) for queue in queues], [["one"], ["two"], ["three"]], "bodies")
        circle = unique("x")
        r.exchange("direct", circle, arguments={"alternate-exchange": circle})
        r.publish("x", "lost", circle)
        r.refused("precondition_failed", 406, "exchangeDeclare", exchange=unique("x"), type="direct",
                  arguments={"alternate-exchange": 5})


@case
def mandatory_and_unroutable():
    """`mandatory` and nothing routed (after the alternate exchange): returned with 312 NO_ROUTE before the confirm."""
    with rabbit() as r:
        exchange = r.exchange("direct")
        properties = {"messageId": "m1", "headers": {"h": [1, "two", None]}}
        rid = r.client.send("rabbitmq.publish", exchange=exchange, routingKey="k", body="back", mandatory=True,
                            properties=properties)
        returned, confirm = r.client.recv(), r.client.recv()
        equal({name: returned[name] for name in ("event", "replyCode", "replyText", "exchange", "routingKey", "body",
                                                 "properties")},
              {"event": "rabbitmq.return", "replyCode": 312, "replyText": "NO_ROUTE", "exchange": exchange,
               "routingKey": "k", "body": "back", "properties": properties}, "return")
        equal((confirm["ok"], confirm["rid"]), (True, rid), "confirm")
        queue = r.queue()
        r.bind(queue, exchange, "k")
        r.ok("publish", exchange=exchange, routingKey="k", body="taken", mandatory=True)
        r.ok("publish", exchange=exchange, routingKey="other", body="dropped")
        r.client.quiet(0.05)
        equal(r.bodies(queue), ["taken"], "bodies")


@case
def properties_and_body_come_as_they_went():
    """Properties and body, byte for byte; `exchange` and `routingKey` are those of the publish."""
    with rabbit() as r:
        exchange, queue = r.exchange("direct"), r.queue()
        r.bind(queue, exchange, "k\"é")
        properties = {
            "contentType": "text/plain", "contentEncoding": "utf-8", "headers": {"a": {"b": [1, 2.5, None, True]}},
            "deliveryMode": 1, "priority": 3, "correlationId": "c", "replyTo": "r", "expiration": "600000",
            "messageId": "m", "timestamp": 1234567890, "type": "t", "userId": "u", "appId": "a",
        }
        r.publish("k\"é", "line\nbreak \u2028 \"quoted\" \\ \U0001f600", exchange, **properties)
        message = r.get(queue)
        equal(message["properties"], properties, "properties")
        equal((message["exchange"], message["routingKey"]), (exchange, "k\"é"), "exchange and key")
        equal(message["body"], "line\nbreak \u2028 \"quoted\" \\ \U0001f600", "body")
        for bad in ({"exspiration": "1"}, {"deliveryMode": 3}, {"headers": []}, {"expiration": 5}, {"priority": 256}):
            r.client.refused("bad_request", "rabbitmq.publish", exchange="", routingKey=queue, body="x", properties=bad)
        r.client.refused("bad_request", "rabbitmq.publish", exchange="", routingKey=queue, body={"not": "a string"})
        equal(r.count(queue), 0, "nothing of the refused ones")


@case
def copies_by_cc_and_bcc():
    """All the original keys: `CC` and `BCC` in the headers are keys too, and `BCC` is not shown."""
    with rabbit() as r:
        queues = [r.queue() for _ in range(3)]
        r.publish(queues[0], "m", headers={"CC": [queues[1]], "BCC": [queues[2]], "k": 1})
        for queue in queues:
            message = r.get(queue)
            equal(message["properties"]["headers"], {"CC": [queues[1]], "k": 1}, "headers")
        r.ok("publish", exchange="", routingKey=unique("none"), body="back", mandatory=True,
             properties={"headers": {"BCC": [unique("none")], "k": 1}, "messageId": "id"})
        equal(r.client.event()["properties"], {"messageId": "id", "headers": {"k": 1}}, "returned")
        for headers in ({"BCC": ["k" * 70_000]}, {"CC": queues[1]}, {"CC": None}, {"BCC": 5}):
            message = r.refused("precondition_failed", 406, "publish", exchange="", routingKey=queues[0], body="x",
                                properties={"headers": headers})
            assert f"'{list(headers)[0]}'" in message, message
        equal([r.get(queue) for queue in queues], [None] * 3, "nothing of the refused ones")


@case
def what_is_not_there():
    """Error `not_found` carries AMQP's reply code 404."""
    with rabbit() as r:
        queue, nothing = r.queue(), unique("nothing")
        exchange = r.exchange("direct")
        for op, fields in (
            ("publish", {"exchange": nothing, "routingKey": "k", "body": "x"}),
            ("exchangeDeclare", {"exchange": nothing, "passive": True}),
            ("queueDeclare", {"queue": nothing, "passive": True}),
            ("queueBind", {"queue": nothing, "exchange": exchange}),
            ("queueBind", {"queue": queue, "exchange": nothing}),
            ("queuePurge", {"queue": nothing}),
            ("consume", {"queue": nothing}),
            ("get", {"queue": nothing}),
        ):
            assert nothing in r.refused("not_found", 404, op, **fields)
        equal(r.ok("queueDelete", queue=nothing)["messageCount"], 0, "deleting what is not there")
        r.ok("exchangeDelete", exchange=nothing)
        for fields in ({"queue": nothing, "exchange": exchange}, {"queue": queue, "exchange": nothing}):
            r.ok("queueUnbind", **fields)


@case
def an_internal_exchange():
    """`internal?`: nobody publishes to it: 403."""
    with rabbit() as r:
        exchange = r.exchange("fanout", internal=True)
        r.refused("forbidden", 403, "publish", exchange=exchange, routingKey="", body="x")


@case
def an_auto_delete_exchange():
    """An auto-delete exchange goes with its last binding; `ifUnused` keeps one that has any."""
    with rabbit() as r:
        exchange, queue = r.exchange("direct", autoDelete=True), r.queue()
        r.bind(queue, exchange, "a")
        r.bind(queue, exchange, "b")
        r.refused("precondition_failed", 406, "exchangeDelete", exchange=exchange, ifUnused=True)
        r.ok("queueUnbind", queue=queue, exchange=exchange, routingKey="a")
        r.ok("exchangeDeclare", exchange=exchange, passive=True)
        r.ok("queueDelete", queue=queue)
        r.refused("not_found", 404, "exchangeDeclare", exchange=exchange, passive=True)


@case
def deleting_an_exchange_takes_its_bindings():
    """`exchangeDelete`: its bindings go too."""
    with rabbit() as r:
        exchange, queue = r.exchange("fanout"), r.queue()
        r.bind(queue, exchange)
        r.ok("exchangeDelete", exchange=exchange)
        r.exchange("fanout", exchange)
        r.publish("", "m", exchange)
        equal(r.count(queue), 0, "messages")


@case
def a_server_named_queue():
    """`queue` (empty: server-named); the empty name then means the queue declared last."""
    with rabbit() as r:
        names = {r.queue("") for _ in range(3)}
        equal(len(names), 3, "names")
        assert all(name.startswith("amq.gen-") for name in names), names
        last = r.queue("")
        r.publish(last, "m")
        equal(r.get("")["body"], "m", "from the queue declared last")
        r.ok("queueDeclare", queue=last)


@case
def purge_and_delete():
    """`queuePurge` / `queueDelete` (`ifUnused?` `ifEmpty?`) reply `messageCount`."""
    with rabbit() as r:
        queue = r.queue()
        r.publish_many(queue, list("abcde"))
        held = r.get(queue, no_ack=False)
        equal(r.ok("queuePurge", queue=queue)["messageCount"], 4, "purged")
        r.nack(held["deliveryTag"])
        equal(r.bodies(queue), ["a"], "what was out came back")
        r.publish_many(queue, list("xyz"))
        message = r.refused("precondition_failed", 406, "queueDelete", queue=queue, ifEmpty=True)
        assert f"queue '{queue}' not empty" in message, message
        tag = r.consume(queue, prefetch=1)
        message = r.refused("precondition_failed", 406, "queueDelete", queue=queue, ifUnused=True)
        assert f"queue '{queue}' in use" in message, message
        delivery = r.deliver()
        equal(r.ok("queueDelete", queue=queue)["messageCount"], 2, "ready when deleted")
        event = r.client.event()
        equal((event["event"], event["consumerTag"]), ("rabbitmq.cancel", tag), "the consumer is told")
        r.refused("not_found", 404, "queueDeclare", queue=queue, passive=True)
        r.ok("ack", deliveryTag=delivery["deliveryTag"])
        r.refused("precondition_failed", 406, "ack", deliveryTag=delivery["deliveryTag"])


@case
def an_exclusive_queue():
    """Exclusive queues go with their connection, and nobody else may use them: 405."""
    with rabbit() as other:
        mine = rabbit()
        queue = mine.queue(exclusive=True)
        mine.queue(queue, exclusive=True)
        for op, fields in (("queueDeclare", {}), ("consume", {}), ("get", {}), ("queuePurge", {}), ("queueDelete", {}),
                           ("queueBind", {"exchange": "amq.fanout"})):
            message = other.refused("forbidden", 405, op, queue=queue, **fields)
            assert "locked" in message, message
        other.publish(queue, "m")
        equal(mine.bodies(queue), ["m"], "published by another")
        mine.client.close()
        eventually(lambda: not other.client.call("rabbitmq.queueDeclare", queue=queue, passive=True)["ok"])
        other.queue(queue)


@case
def hidden_from_native_clients():
    """Queues are not topics: native operations do not list or reach them."""
    with rabbit() as r:
        queue = r.queue()
        r.publish(queue, "m")
        assert not any("rabbit" in row["topic"] for row in r.client.ok("topics")["topics"])
        r.client.refused("bad_request", "subscribe", topic=f"rabbitmq/queue/{queue}")
        r.client.refused("bad_request", "deleteTopic", topic=f"rabbitmq/queue/{queue}")
        equal(r.count(queue), 1, "still there")


@case
def unknown_fields_are_refused():
    """Unknown fields are refused, so that a typing error can never become a queue that is not durable."""
    with rabbit() as r:
        r.client.refused("bad_request", "rabbitmq.queueDeclare", queue=unique("q"), durabel=True)
        r.client.refused("bad_request", "rabbitmq.publish", exchange="", routingKey="q")
        r.client.refused("bad_request", "rabbitmq.queueDeclare", queue="q" * 256)


@case
def thousands_of_bindings_come_and_go():
    """A queue and an exchange can have thousands of bindings; one is told from another by key and arguments."""
    with Rabbit(connect()) as r:
        exchange, other = r.exchange("direct"), r.exchange("headers")
        queue, stays = r.queue(), r.queue()
        keys = [f"k{n}" for n in range(5000)]

        def all_keys(op):
            rids = r.client.send_many(
                [(f"rabbitmq.{op}", {"queue": queue, "exchange": exchange, "routingKey": key}) for key in keys])
            for rid in rids:
                assert r.client.reply(rid)["ok"]

        r.bind(stays, exchange, "k7")
        all_keys("queueBind")
        all_keys("queueBind")
        r.publish("k4999", "once", exchange)
        equal(r.bodies(queue), ["once"], "bound twice, routed once")
        keys = keys[::2]
        all_keys("queueUnbind")
        for key in ("k6", "k7"):
            r.publish(key, key, exchange)
        equal(r.bodies(queue), ["k7"], "after every other binding has gone")
        r.bind(queue, other, "", {"a": 1, "b": 2})
        r.ok("queueUnbind", queue=queue, exchange=other, arguments={"b": 2, "a": 2})
        r.publish("", "still", other, headers={"a": 1, "b": 2})
        r.ok("queueUnbind", queue=queue, exchange=other, arguments={"b": 2, "a": 1})
        r.publish("", "no more", other, headers={"a": 1, "b": 2})
        equal(r.bodies(queue), ["still"], "arguments in another order")
        r.ok("queueDelete", queue=queue)
        r.ok("exchangeDelete", exchange=other, ifUnused=True)
        r.publish("k7", "k7", exchange)
        equal(r.bodies(stays), ["k7", "k7"], "the neighbour's binding")
