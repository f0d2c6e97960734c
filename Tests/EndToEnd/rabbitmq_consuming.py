"""RabbitMQ front end: consumers, turns, prefetch, acknowledgements, get, connection loss."""

from escapement_driver import equal, eventually, unique
from rabbitmq_client import Rabbit
from suite import case, connect


def rabbit():
    return Rabbit(connect())


@case
def consumers_take_turns():
    """Consumers of a queue take turns, also over connections."""
    with rabbit() as r, rabbit() as other:
        queue = r.queue()
        equal(r.consume(queue, consumerTag="one"), "one", "tag")
        r.consume(queue, consumerTag="two")
        other.consume(queue, consumerTag="one")
        r.publish_many(queue, [str(n) for n in range(30)])
        mine = [r.deliver() for _ in range(20)]
        theirs = [other.deliver() for _ in range(10)]
        equal([sum(event["consumerTag"] == tag for event in mine) for tag in ("one", "two")], [10, 10], "turns")
        equal(sorted(int(event["body"]) for event in mine + theirs), list(range(30)), "each once")
        equal(r.consumers(queue), 3, "consumerCount")


@case
def consumer_tags():
    """`consumerTag?`: made when not given; one in use: 530; `rabbitmq.cancel` frees it."""
    with rabbit() as r:
        queue = r.queue()
        made = {r.consume(queue) for _ in range(3)}
        equal(len(made), 3, "made tags")
        r.consume(queue, consumerTag="t")
        r.refused("bad_state", 530, "consume", queue=queue, consumerTag="t")
        for tag in made | {"t"}:
            equal(r.ok("cancel", consumerTag=tag)["consumerTag"], tag, "cancelled")
        equal(r.consumers(queue), 0, "consumerCount")
        r.consume(queue, consumerTag="t")
        r.ok("cancel", consumerTag="never there")


@case
def prefetch_bounds_what_is_out():
    """Prefetch bounds unacknowledged deliveries of a consumer."""
    with rabbit() as r:
        queue = r.queue()
        r.publish_many(queue, [str(n) for n in range(10)])
        r.consume(queue, prefetch=3)
        events = [r.deliver() for _ in range(3)]
        r.client.quiet(0.1)
        equal(r.count(queue), 7, "messageCount is ready messages")
        r.ack(events[1]["deliveryTag"])
        equal(r.deliver()["body"], "3", "one more")
        r.client.quiet(0.1)


@case
def delivery_tags_count_up():
    """`deliveryTag` counts up in the connection, over consumers and gets; an unknown one: 406."""
    with rabbit() as r:
        one, two = r.queue(), r.queue()
        r.consume(one)
        r.consume(two, noAck=True)
        tags = []
        for queue in (one, two, one):
            r.publish(queue)
            tags.append(r.deliver()["deliveryTag"])
        three = r.queue()
        r.publish(three)
        tags.append(r.get(three, no_ack=False)["deliveryTag"])
        equal(tags, [1, 2, 3, 4], "tags")
        message = r.refused("precondition_failed", 406, "ack", deliveryTag=2)
        assert "unknown delivery tag 2" in message, message
        r.ack(1)
        for op in ("ack", "nack", "reject"):
            r.refused("precondition_failed", 406, op, deliveryTag=1)
            r.refused("precondition_failed", 406, op, deliveryTag=99)


@case
def multiple():
    """`multiple?` (ack, nack): all up to the tag; tag 0: all."""
    with rabbit() as r:
        queue, other = r.queue(), r.queue()
        r.consume(queue)
        r.consume(other)
        for n in range(6):
            r.publish(queue if n % 2 == 0 else other, str(n))
            r.deliver()
        r.ack(2)
        r.ack(4, multiple=True)
        for tag in (1, 2, 3, 4):
            r.refused("precondition_failed", 406, "ack", deliveryTag=tag)
        r.nack(0, multiple=True)
        equal(sorted((event["body"], event["redelivered"]) for event in (r.deliver(), r.deliver())),
              [("4", True), ("5", True)], "requeued")
        r.ack(0, multiple=True)
        r.ack(0, multiple=True)
        r.refused("precondition_failed", 406, "ack", deliveryTag=6, multiple=True)
        equal((r.count(queue), r.count(other)), (0, 0), "left")


@case
def requeue_to_the_old_place():
    """Nacked messages return to their old places with `redelivered: true`."""
    with rabbit() as r:
        queue = r.queue()
        r.publish_many(queue, list("abcde"))
        held = [r.get(queue, no_ack=False) for _ in range(3)]
        equal([(m["body"], m["redelivered"], m["messageCount"]) for m in held],
              [("a", False, 4), ("b", False, 3), ("c", False, 2)], "first deliveries")
        r.ok("reject", deliveryTag=held[2]["deliveryTag"])
        r.nack(held[0]["deliveryTag"], requeue=True)
        equal([(m["body"], m["redelivered"]) for m in r.drain(queue)],
              [("a", True), ("c", True), ("d", False), ("e", False)], "order")


@case
def without_acknowledgement():
    """`noAck?`: a delivery is its own acknowledgement."""
    with rabbit() as r:
        queue = r.queue()
        r.publish_many(queue, [str(n) for n in range(5_000)])
        lost = rabbit()
        lost.consume(queue, noAck=True, prefetch=1)
        equal([lost.deliver()["body"] for _ in range(5_000)], [str(n) for n in range(5_000)], "order")
        lost.client.close()
        eventually(lambda: r.consumers(queue) == 0)
        equal(r.count(queue), 0, "left")
        r.publish(queue, "got")
        equal(r.get(queue, no_ack=True)["body"], "got", "get")
        equal(r.get(queue), None, "left")


@case
def get_one():
    """`rabbitmq.get`: one delivery with `messageCount` left, or `empty: true`."""
    with rabbit() as r:
        queue = r.queue()
        equal(r.ok("get", queue=queue).get("empty"), True, "empty")
        r.publish_many(queue, list("ab"))
        message = r.ok("get", queue=queue, noAck=True)
        equal((message["body"], message["messageCount"], message["exchange"], message["routingKey"], message["properties"]),
              ("a", 1, "", queue, {}), "get")
        message = r.get(queue, no_ack=False)
        r.ack(message["deliveryTag"])
        equal(r.ok("get", queue=queue).get("empty"), True, "empty again")


@case
def a_lost_connection_gives_back():
    """A dead connection's unacknowledged messages return to their old places with `redelivered: true`."""
    with rabbit() as r:
        queue = r.queue()
        r.publish_many(queue, [str(n) for n in range(10)])
        lost = rabbit()
        lost.consume(queue, prefetch=4)
        tags = [lost.deliver()["deliveryTag"] for _ in range(4)]
        got = lost.get(queue, no_ack=False)
        equal(got["body"], "4", "got")
        lost.ack(tags[1])
        equal(lost.deliver()["body"], "5", "one more by the acknowledgement")
        lost.client.close()
        eventually(lambda: r.count(queue) == 9, what="what was out is back")
        equal([(m["body"], m["redelivered"]) for m in r.drain(queue)],
              [(str(n), n < 6) for n in range(10) if n != 1], "order")


@case
def cancelled_with_deliveries_out():
    """`rabbitmq.cancel`: nothing more comes; what is out stays out until it is settled or the connection ends."""
    with rabbit() as r:
        queue = r.queue()
        other = rabbit()
        tag = other.consume(queue, prefetch=2)
        r.publish_many(queue, list("abc"))
        tags = [other.deliver()["deliveryTag"] for _ in range(2)]
        other.ok("cancel", consumerTag=tag)
        equal((r.count(queue), r.consumers(queue)), (1, 0), "ready and consumers")
        other.ack(tags[0])
        other.client.quiet(0.05)
        equal(r.count(queue), 1, "b is still out")
        other.client.close()
        eventually(lambda: r.count(queue) == 2)
        equal(r.bodies(queue), ["b", "c"], "bodies")


@case
def an_auto_delete_queue():
    """Auto-delete queues go with their last consumer: cancelled or disconnected; never having had one, they stay."""
    with rabbit() as r:
        queue = r.queue(autoDelete=True)
        r.publish(queue)
        r.get(queue)
        equal(r.count(queue), 0, "still there")
        one = r.consume(queue)
        with rabbit() as other:
            other.consume(queue)
            r.ok("cancel", consumerTag=one)
            equal(r.consumers(queue), 1, "one is left")
        eventually(lambda: not r.client.call("rabbitmq.queueDeclare", queue=queue, passive=True)["ok"])
        queue = r.queue(autoDelete=True)
        r.ok("cancel", consumerTag=r.consume(queue))
        r.refused("not_found", 404, "queueDeclare", queue=queue, passive=True)


@case
def order_of_one_queue():
    """Messages of a queue come in the order in which they were published."""
    with rabbit() as r:
        queue = r.queue()
        r.consume(queue)
        r.publish_many(queue, [str(n) for n in range(3_000)])
        equal([r.deliver()["body"] for _ in range(3_000)], [str(n) for n in range(3_000)], "order")
        r.ack(3_000, multiple=True)
        equal(r.count(queue), 0, "left")


@case
def nothing_is_lost_on_the_way_to_a_cancel():
    """What a consumer was given before it is cancelled comes before the reply, in the same piece of a pipeline too."""
    with Rabbit(connect()) as r:
        for no_ack in (True, False):
            queue = r.queue()
            requests = [
                ("rabbitmq.consume", {"queue": queue, "consumerTag": "c", "noAck": no_ack}),
                # No time to live: it is given to the consumer at once, or it is lost.
                ("rabbitmq.publish", {"exchange": "", "routingKey": queue, "body": "now",
                                      "properties": {"expiration": "0"}}),
                ("rabbitmq.cancel", {"consumerTag": "c"}),
            ]
            for rid in r.client.send_many(requests):
                assert r.client.reply(rid)["ok"]
            event = r.deliver()
            equal(event["body"], "now", "body")
            if not no_ack:
                r.nack(event["deliveryTag"], requeue=False)
