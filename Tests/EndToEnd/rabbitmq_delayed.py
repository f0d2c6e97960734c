"""RabbitMQ front end: exchanges of the type `x-delayed-message`."""

import pathlib

from escapement_driver import equal, eventually, now_ms, unique, wait_until_ms
from rabbitmq_client import HOUR_MS, PERSISTENT, Rabbit, header
from suite import case, connect, own


def rabbit():
    return Rabbit(connect())


def delayed(r, kind="direct", name=None, arguments=None, **fields):
    return r.exchange("x-delayed-message", name, arguments={"x-delayed-type": kind, **(arguments or {})}, **fields)


def bound(r, exchange, key="k", **fields):
    queue = r.queue(**fields)
    r.bind(queue, exchange, key)
    return queue


def publish(r, exchange, delay, body="m", key="k", **more):
    headers = {} if delay is None else {"x-delay": delay}
    headers.update(more.pop("headers", {}))
    return r.publish(key, body, exchange, headers=headers, **more)


def pending(r, exchange):
    return r.ok("delayed", exchange=exchange)["messages"]


@case
def delayed_messages_come_at_their_time():
    """A positive `x-delay` delays a message by so many ms, never less; 0, negative, absent and other types route at once."""
    with rabbit() as r:
        exchange = delayed(r)
        queue = bound(r, exchange)
        for at_once in (0, -5, None, "no", True, [1], "0"):
            publish(r, exchange, at_once, "now")
        equal(r.bodies(queue), ["now"] * 7, "at once")
        began = now_ms()
        for body, delay in (("c", 300), ("b", "200"), ("a", 100.5)):
            publish(r, exchange, delay, body)
        equal(r.count(queue), 0, "ready at once")
        for body, least in (("a", 100), ("b", 200), ("c", 300)):
            message = r.wait_get(queue)
            equal(message["body"], body, "body")
            assert now_ms() - began >= least, f"{body} after {now_ms() - began} ms"
            equal(header(message, "x-delay"), -least, "the sign is turned")
            assert "x-death" not in message["properties"]["headers"], message


@case
def every_kind_of_routing_can_be_delayed():
    """`x-delayed-type` is direct, topic, fanout or headers; by the bindings of the time of release."""
    with rabbit() as r:
        for kind, key, arguments in (("direct", "k", None), ("topic", "#", None), ("fanout", "", None), ("headers", "", {"h": 1})):
            exchange, queue = delayed(r, kind), r.queue()
            publish(r, exchange, 150, "m", headers={"h": 1})
            publish(r, exchange, 150, "other", key="other", headers={"h": 1})
            r.bind(queue, exchange, key, arguments)
            eventually(lambda: not pending(r, exchange), what="both released")
            equal(r.bodies(queue), ["m"] if kind == "direct" else ["m", "other"], kind)


@case
def declarations_of_delayed_exchanges():
    """A missing, unknown or own `x-delayed-type`: 406. A redeclaration compares type, durable, auto-delete, internal, alternate."""
    with rabbit() as r:
        for arguments in ({}, {"x-delayed-type": 1}, {"x-delayed-type": "x-delayed-message"}, {"x-delayed-type": "no"}):
            message = r.refused(
                "precondition_failed", 406, "exchangeDeclare", exchange=unique("x"), type="x-delayed-message", arguments=arguments)
            assert "x-delayed-type" in message, message
        exchange = delayed(r, arguments={"alternate-exchange": "a"})
        delayed(r, name=exchange, arguments={"alternate-exchange": "a"})
        for fields in ({"durable": True}, {"internal": True}, {"autoDelete": True}):
            r.refused("precondition_failed", 406, "exchangeDeclare", exchange=exchange, type="x-delayed-message",
                      arguments={"x-delayed-type": "direct", "alternate-exchange": "a"}, **fields)
        r.refused("precondition_failed", 406, "exchangeDeclare", exchange=exchange, type="direct")
        r.refused("precondition_failed", 406, "exchangeDeclare", exchange=exchange, type="x-delayed-message",
                  arguments={"x-delayed-type": "direct"})


@case
def a_name_is_pending_once():
    """`x-delay-id` names a pending message: the same name again replaces it; after its release the name is free."""
    with rabbit() as r:
        exchange = delayed(r)
        queue = bound(r, exchange)
        publish(r, exchange, HOUR_MS, "old", headers={"x-delay-id": "one"})
        publish(r, exchange, 100, "new", headers={"x-delay-id": "one"})
        for _ in range(2):
            publish(r, exchange, 100, "same messageId", messageId="m")
        equal(sorted(r.wait_get(queue)["body"] for _ in range(3)), ["new", "same messageId", "same messageId"], "bodies")
        publish(r, exchange, 100, "again", headers={"x-delay-id": "one"})
        equal(r.wait_get(queue)["body"], "again", "a free name")
        equal(r.count(queue), 0, "what remains")
        for name in (1, "", "n" * 129):
            r.refused("precondition_failed", 406, "publish", exchange=exchange, routingKey="k", body="",
                      properties={"headers": {"x-delay": 5, "x-delay-id": name}})


@case
def cancelling_from_a_publisher():
    """`x-delay-cancel: true` with a name cancels; with `mandatory`, what is not pending comes back with 312 NO_PENDING."""
    with rabbit() as r:
        exchange = delayed(r)
        queue = bound(r, exchange)
        publish(r, exchange, 200, "cancelled", headers={"x-delay-id": "one"})
        cancel = {"headers": {"x-delay-id": "one", "x-delay-cancel": True}}
        r.ok("publish", exchange=exchange, routingKey="k", body="", mandatory=True, properties=cancel)
        equal(pending(r, exchange), [], "pending")
        r.ok("publish", exchange=exchange, routingKey="k", body="", properties=cancel)
        r.ok("publish", exchange=exchange, routingKey="k", body="", mandatory=True, properties=cancel)
        event = r.client.event()
        equal((event["event"], event["replyCode"], event["replyText"]), ("rabbitmq.return", 312, "NO_PENDING"), "return")
        r.refused("precondition_failed", 406, "publish", exchange=exchange, routingKey="k", body="",
                  properties={"headers": {"x-delay-cancel": True}})
        publish(r, exchange, 250, "kept")
        equal(r.wait_get(queue)["body"], "kept", "body")


@case
def mandatory_is_judged_at_publish():
    """`mandatory` is judged at publish, alternate exchange included: what comes back is not delivered later."""
    with rabbit() as r:
        other, queue = r.exchange("fanout"), r.queue()
        exchange = delayed(r)
        fields = {"exchange": exchange, "routingKey": "k", "body": "m", "mandatory": True, "properties": {"headers": {"x-delay": 100}}}
        r.ok("publish", **fields)
        equal(r.client.event()["replyText"], "NO_ROUTE", "return")
        equal(pending(r, exchange), [], "pending")
        r.bind(queue, exchange, "k")
        r.ok("publish", **fields)
        equal(r.wait_get(queue)["body"], "m", "body")
        second = delayed(r, arguments={"alternate-exchange": other})
        r.bind(queue, other)
        r.ok("publish", **{**fields, "exchange": second})
        equal(r.wait_get(queue)["body"], "m", "by the alternate exchange")
        r.client.quiet()


@case
def listing_and_cancelling():
    """`rabbitmq.delayed` lists what is pending in due order, page by page; `rabbitmq.cancelDelayed` cancels by id."""
    with rabbit() as r:
        exchange = delayed(r, "fanout")
        queue = bound(r, exchange)
        began = now_ms()
        for number in range(5):
            publish(r, exchange, HOUR_MS + number * 1000, str(number), key=f"key-{number}", headers={"x-delay-id": f"id-{number}"})
        first = r.ok("delayed", exchange=exchange, limit=3)
        second = r.ok("delayed", exchange=exchange, limit=3, cursor=first["cursor"])
        rows = first["messages"] + second["messages"]
        equal([(row["id"], row["routingKey"]) for row in rows], [(f"id-{n}", f"key-{n}") for n in range(5)], "rows")
        assert all(0 <= row["deliverAtMs"] - began - HOUR_MS - 1000 * place < 30_000 for place, row in enumerate(rows)), rows
        equal([row["id"] for row in r.ok("delayed", exchange=exchange, fromMs=rows[3]["deliverAtMs"])["messages"]], ["id-3", "id-4"],
              "from a time")
        equal(r.ok("cancelDelayed", exchange=exchange, id="id-1")["outcome"], "cancelled", "outcome")
        equal(r.ok("cancelDelayed", exchange=exchange, id="never")["outcome"], "unknown", "outcome")
        row = next(row for row in r.ok("exchanges")["exchanges"] if row["exchange"] == exchange)
        equal(row, {"exchange": exchange, "type": "x-delayed-message", "durable": False, "pending": 4}, "row")
        publish(r, exchange, HOUR_MS)
        made = [row["id"] for row in pending(r, exchange) if not row["id"].startswith("id-")]
        equal(r.ok("cancelDelayed", exchange=exchange, id=made[0])["outcome"], "cancelled", "by a made id")
        r.refused("not_found", 404, "delayed", exchange=unique("x"))
        r.refused("precondition_failed", 406, "delayed", exchange="amq.direct")
        r.client.refused("bad_request", "list", topic=f"rabbitmq/delayed/{exchange}")
        equal(r.count(queue), 0, "ready")


@case
def deleting_drops_what_is_pending():
    """`ifUnused` refuses while messages are pending; deleting drops them; a new exchange of the name has none."""
    with rabbit() as r:
        exchange = delayed(r)
        queue = bound(r, exchange)
        publish(r, exchange, 150, "dropped")
        r.ok("queueUnbind", queue=queue, exchange=exchange, routingKey="k")
        r.refused("precondition_failed", 406, "exchangeDelete", exchange=exchange, ifUnused=True)
        r.ok("exchangeDelete", exchange=exchange)
        delayed(r, name=exchange)
        r.bind(queue, exchange, "k")
        publish(r, exchange, 200, "kept")
        equal(r.wait_get(queue)["body"], "kept", "body")
        equal(r.count(queue), 0, "what remains")
        r.ok("queueUnbind", queue=queue, exchange=exchange, routingKey="k")
        r.ok("exchangeDelete", exchange=exchange, ifUnused=True)


@case
def expiration_begins_at_the_queue():
    """`expiration` counts from the arrival in the queue, and only there."""
    with rabbit() as r:
        exchange, dead = delayed(r), r.queue()
        queue = bound(r, exchange, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
        began = now_ms()
        publish(r, exchange, 200, "m", expiration="150")
        message = r.wait_get(dead)
        assert now_ms() - began >= 350, f"dead after {now_ms() - began} ms"
        equal((header(message, "x-death")[0]["queue"], header(message, "x-death")[0]["count"]), (queue, 1), "death")
        equal(header(message, "x-delay"), -200, "x-delay")


@case
def exchanges_in_a_row_delay_once():
    """A chain of delayed exchanges delays once; a plain exchange before one that delays leads into it."""
    with rabbit() as r:
        first, second, plain = delayed(r, "fanout"), delayed(r, "fanout"), r.exchange("fanout")
        r.ok("exchangeBind", destination=first, source=plain)
        r.ok("exchangeBind", destination=second, source=first)
        queue, direct = bound(r, second), bound(r, plain)
        began = now_ms()
        publish(r, plain, 200, "m")
        equal(r.bodies(direct), ["m"], "the queue of the plain exchange")
        equal((len(pending(r, first)), len(pending(r, second))), (1, 0), "pending")
        equal(r.wait_get(queue)["body"], "m", "body")
        assert 200 <= now_ms() - began, "early"
        eventually(lambda: not pending(r, second), what="nothing pending")


@case
def dead_letters_are_delayed():
    """A dead letter that comes to a delayed exchange with a positive `x-delay` waits there."""
    with rabbit() as r:
        exchange = delayed(r)
        last = bound(r, exchange)
        queue = r.queue(x_message_ttl=0, x_dead_letter_exchange=exchange, x_dead_letter_routing_key="k")
        r.publish(queue, "m", headers={"x-delay": 200, "x-delay-id": "no name here"})
        equal(r.count(last), 0, "ready at once")
        message = r.wait_get(last)
        equal((message["body"], header(message, "x-delay")), ("m", -200), "the letter")


@case
def blind_keys_and_bytes_pass():
    """`CC` and `BCC` route at release, `BCC` unseen; a body of bytes stays what it was."""
    with rabbit() as r:
        exchange, queues = delayed(r), [r.queue() for _ in range(3)]
        for queue, key in zip(queues, "abc"):
            r.bind(queue, exchange, key)
        r.ok("publish", exchange=exchange, routingKey="a", bodyBase64="AP8=",
             properties={"headers": {"x-delay": 100, "CC": ["b"], "BCC": ["c"]}})
        for queue in queues:
            message = r.wait_get(queue)
            equal((message["bodyBase64"], "BCC" in message["properties"]["headers"]), ("AP8=", False), "message")


@case
def pending_messages_survive():
    """Pending messages of a durable exchange survive a crash and a stop, and come in the order of their times, once each."""
    server = own()
    due_ms = 0
    with Rabbit(server.client()) as r:
        delayed(r, name="kept", durable=True)
        delayed(r, name="lost")
        queue = bound(r, "kept", name="q", durable=True)
        for number in range(200):
            publish(r, "kept", 3000 + (number * 37) % 500, str(number), **PERSISTENT)
        publish(r, "kept", HOUR_MS, "far", headers={"x-delay-id": "far"}, **PERSISTENT)
        publish(r, "lost", HOUR_MS, "gone", **PERSISTENT)
        due_ms = now_ms() + 3500
    server.kill9()
    server.start()
    with Rabbit(server.client()) as r:
        r.refused("not_found", 404, "delayed", exchange="lost")
        delayed(r, name="lost")
        equal(pending(r, "lost"), [], "pending in an exchange that was not durable")
    server.stop()
    wait_until_ms(due_ms)
    server.start()
    with Rabbit(server.client()) as r:
        eventually(lambda: r.count("q") == 200, what="all messages released")
        got = [(-header(message, "x-delay"), int(message["body"])) for message in r.drain(queue)]
        equal(sorted(number for _, number in got), list(range(200)), "once each")
        equal([row["id"] for row in pending(r, "kept")], ["far"], "still pending")
        delayed(r, name="kept", durable=True)


@case
def the_relay_gives_its_space_back():
    """What has been released leaves no log behind."""
    server = own("--segment-bytes", "1048576", "--checkpoint-bytes", "1048576")
    with Rabbit(server.client()) as r:
        delayed(r, name="x", durable=True)
        queue = bound(r, "x", name="q", durable=True)

        def one_more_round():
            r.publish_many("k", ["b" * 10_000] * 100, "x", headers={"x-delay": 20})
            eventually(lambda: r.count(queue) == 100, what="a round")
            r.ok("queuePurge", queue=queue)

        for _ in range(16):
            one_more_round()
        # Files go with checkpoints, and those come with what is published.
        eventually(lambda: one_more_round() or topic_bytes(server) < 8_000_000, what="space given back")


def topic_bytes(server):
    return sum(file.stat().st_size for file in pathlib.Path(server.data).glob("topics/**/*") if file.is_file())
