"""RabbitMQ front end: transactions, prefetch of the channel, and recovering, by the line protocol."""

from escapement_driver import equal
from rabbitmq_client import Rabbit
from suite import case, connect


def rabbit():
    return Rabbit(connect())


def delivered(r):
    return r.client.event()


@case
def publishes_and_acknowledgements_wait_for_the_commit():
    """What is published and acknowledged is done with the commit, and forgotten by a rollback; mandatory is said at the commit."""
    with rabbit() as r, rabbit() as other:
        queue = r.queue()
        r.publish(queue, "before")
        r.ok("txSelect")
        message = r.get(queue, no_ack=False)
        r.publish(queue, "held")
        r.ok("publish", exchange="", routingKey="nowhere", body="back", mandatory=True)
        r.ok("ack", deliveryTag=message["deliveryTag"])
        equal(other.count(queue), 0, "before the commit")
        r.ok("txCommit")
        equal(r.client.event()["body"], "back", "what came back")
        equal(other.bodies(queue), ["held"], "after the commit")
        r.publish(queue, "forgotten")
        r.ok("txRollback")
        equal(other.bodies(queue), [], "after the rollback")


@case
def without_select():
    """A commit or a rollback without a selection is 406."""
    with rabbit() as r:
        for op in ("txCommit", "txRollback"):
            r.refused("precondition_failed", 406, op)


@case
def prefetch_of_the_channel():
    """`rabbitmq.qos` bounds each consumer, with `global` all of them together; a consumer's own prefetch counts for itself."""
    with rabbit() as r:
        queue = r.queue()
        r.ok("qos", prefetch=2)
        r.ok("consume", queue=queue, consumerTag="a")
        for number in range(4):
            r.publish(queue, str(number))
        first, second = delivered(r), delivered(r)
        equal(r.count(queue), 2, "what waits")
        r.ok("qos", prefetch=3)
        third = delivered(r)
        r.ok("qos", prefetch=1, **{"global": True})
        r.ok("ack", deliveryTag=first["deliveryTag"])
        equal(r.count(queue), 1, "what waits")
        r.ok("ack", deliveryTag=third["deliveryTag"], multiple=True)
        equal(delivered(r)["body"], "3", "the last")
        equal(second["body"], "1", "the second")
        r.client.refused("bad_request", "rabbitmq.qos")


@case
def recovering():
    """`rabbitmq.recover` gives everything unacknowledged back, to be delivered again."""
    with rabbit() as r:
        queue = r.queue()
        r.publish(queue, "x")
        equal(r.get(queue, no_ack=False)["redelivered"], False, "the first time")
        r.ok("recover")
        got = r.get(queue, no_ack=False)
        equal((got["body"], got["redelivered"]), ("x", True), "the second time")
