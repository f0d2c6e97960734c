"""RabbitMQ front end: who comes first: priorities of messages and of consumers, single active and exclusive consumers."""

from escapement_driver import equal, eventually, unique
from rabbitmq_client import PERSISTENT, Rabbit, header
from suite import case, connect, own


def rabbit():
    return Rabbit(connect())


@case
def messages_of_a_higher_priority_come_first():
    """`x-max-priority`: the highest first, then in order; above the maximum counts as the maximum, without one as 0."""
    with rabbit() as r:
        queue = r.queue(x_max_priority=5)
        for body, priority in (("none", None), ("one", 1), ("five", 5), ("nine", 9), ("one again", 1), ("zero", 0)):
            r.publish(queue, body, **({} if priority is None else {"priority": priority}))
        equal(r.count(queue), 6, "count")
        equal(r.bodies(queue), ["five", "nine", "one", "one again", "none", "zero"], "bodies")
        plain = r.queue()
        for priority in (1, 9):
            r.publish(plain, str(priority), priority=priority)
        equal(r.bodies(plain), ["1", "9"], "a queue without priorities")


@case
def a_requeued_message_keeps_its_place():
    """What comes back stands where it stood among those of its priority; one of a higher priority overtakes it."""
    with rabbit() as r:
        queue = r.queue(x_max_priority=2)
        for number in range(3):
            r.publish(queue, str(number), priority=1)
        first = r.get(queue, no_ack=False)
        r.publish(queue, "high", priority=2)
        r.nack(first["deliveryTag"], requeue=True)
        messages = r.drain(queue)
        equal([message["body"] for message in messages], ["high", "0", "1", "2"], "bodies")
        equal([message["redelivered"] for message in messages], [False, True, False, False], "redelivered")


@case
def priorities_with_time_to_live_and_length():
    """In a queue that goes by priorities, messages expire on time, the length counts all, and a purge empties it."""
    with rabbit() as r:
        dead = r.queue()
        queue = r.queue(x_max_priority=2, x_max_length=3, x_overflow="reject-publish", x_dead_letter_exchange="",
                        x_dead_letter_routing_key=dead)
        r.publish(queue, "short", priority=1, expiration="200")
        r.publish(queue, "stays")
        r.publish(queue, "high", priority=2)
        r.refused("limit_exceeded", None, "publish", exchange="", routingKey=queue, body="too many")
        one = r.get(queue, no_ack=False)
        equal(one["body"], "high", "the first")
        equal(r.wait_get(dead)["body"], "short", "dead")
        r.nack(one["deliveryTag"], requeue=True)
        equal(r.ok("queuePurge", queue=queue)["messageCount"], 2, "purged")
        equal(r.bodies(queue), [], "bodies")


@case
def priorities_survive():
    """Priorities hold after a crash and a stop, also of messages that were out."""
    server = own()
    with Rabbit(server.client()) as r:
        r.queue("q", durable=True, x_max_priority=9)
        for number in range(10):
            r.publish("q", str(number), priority=number, **PERSISTENT)
        equal(r.get("q", no_ack=False)["body"], "9", "out")
    for ending in ("kill9", "stop"):
        getattr(server, ending)()
        server.start()
        with Rabbit(server.client()) as r:
            messages = [r.get("q", no_ack=False) for _ in range(10)]
            equal([message["body"] for message in messages], [str(n) for n in range(9, -1, -1)], f"bodies after {ending}")


@case
def consumers_of_a_higher_priority_are_served_first():
    """`x-priority`: a consumer of a higher priority gets what it can take; then the others take turns."""
    with rabbit() as r:
        queue = r.queue()
        low = r.consume(queue, arguments={"x-priority": -1}, prefetch=5)
        high = r.consume(queue, arguments={"x-priority": 10}, prefetch=2)
        for number in range(4):
            r.publish(queue, str(number))
        equal([r.deliver()["consumerTag"] for _ in range(4)], [high, high, low, low], "tags")
        r.refused("precondition_failed", 406, "consume", queue=queue, arguments={"x-priority": "high"})


@case
def a_single_active_consumer():
    """`x-single-active-consumer`: one gets all until it is cancelled or gone, then the next in the order they came."""
    with rabbit() as r, rabbit() as other:
        queue = r.queue(x_single_active_consumer=True)
        first, second = r.consume(queue), r.consume(queue)
        third = other.consume(queue)
        for number in range(3):
            r.publish(queue, str(number))
        deliveries = [r.deliver() for _ in range(3)]
        equal([one["consumerTag"] for one in deliveries], [first] * 3, "the first")
        r.ok("cancel", consumerTag=first)
        r.publish(queue, "3")
        equal(r.deliver()["consumerTag"], second, "the second, while the first has messages out")
        r.client.close()
        equal(sorted(other.deliver()["body"] for _ in range(4)), ["0", "1", "2", "3"], f"all to {third}")


@case
def exclusive_consumers():
    """An exclusive consumer is the only one: 403 for it beside others, and for others beside it."""
    with rabbit() as r, rabbit() as other:
        queue = r.queue()
        tag = r.consume(queue)
        message = other.refused("forbidden", 403, "consume", queue=queue, exclusive=True)
        assert "in exclusive use" in message, message
        r.ok("cancel", consumerTag=tag)
        tag = r.consume(queue, exclusive=True)
        for exclusive in (False, True):
            other.refused("forbidden", 403, "consume", queue=queue, exclusive=exclusive)
        r.ok("cancel", consumerTag=tag)
        other.consume(queue, exclusive=True)


@case
def quorum_queues_count_deliveries():
    """With `x-queue-type: quorum`, deliveries carry `x-delivery-count`: how many came to nothing before."""
    with rabbit() as r:
        queue = r.queue(x_queue_type="quorum", durable=True)
        r.publish(queue, "m", headers={"h": 1})
        for count in range(3):
            message = r.get(queue, no_ack=False)
            equal((header(message, "x-delivery-count"), header(message, "h")), (count, 1), "headers")
            r.nack(message["deliveryTag"], requeue=True)
        classic = r.queue()
        r.publish(classic, "m")
        equal(header(r.get(classic), "x-delivery-count"), None, "in a classic queue")


@case
def unknown_arguments_are_kept():
    """Arguments that mean nothing here are kept and passed over; a stream is refused."""
    with rabbit() as r:
        r.queue(x_dead_letter_strategy="at-least-once", x_quorum_initial_group_size=3, x_queue_leader_locator="balanced",
                x_unheard_of={"a": [1]}, durable=True)
        r.refused("precondition_failed", 406, "queueDeclare", queue=unique("q"), arguments={"x-queue-type": "stream"})
        for bad in (-1, 256, "5"):
            r.refused("precondition_failed", 406, "queueDeclare", queue=unique("q"), arguments={"x-max-priority": bad})
        queue = r.queue(x_max_priority=5)
        r.refused("precondition_failed", 406, "queueDeclare", queue=queue, arguments={"x-max-priority": 6})
