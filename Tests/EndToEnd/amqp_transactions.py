"""AMQP: transactions: publishes and acknowledgements wait for the commit and are forgotten by a rollback."""

from amqp_driver import PERSISTENT, Peer
from escapement_driver import equal, unique
from suite import case, own, shared


def peer(**options):
    return Peer(shared().amqp_port, **options)


def transactional(p, number=1):
    p.channel(number)
    p.call(number, "tx.select")
    return number


@case
def publishes_wait_for_the_commit():
    """What is published is there when it is committed, in order, and not before; after a rollback it never is."""
    with peer() as p:
        transactional(p)
        p.channel(2)
        queue = p.queue(2)
        p.publish(1, queue, b"a", properties={"messageId": "m"})
        p.publish(1, queue, b"b" * 300_000)
        p.sync(1)
        equal(p.count(2, queue), 0, "messages before the commit")
        p.call(1, "tx.commit")
        equal(p.get(2, queue)["properties"], {"messageId": "m"}, "the first")
        equal(len(p.get(2, queue)["body"]), 300_000, "the second")
        p.publish(1, queue, b"c")
        p.call(1, "tx.rollback")
        p.call(1, "tx.commit")
        p.publish(1, queue, b"d")
        p.call(1, "channel.close", code=200)
        equal(p.count(2, queue), 0, "messages that nobody committed")


@case
def acknowledgements_wait_for_the_commit():
    """What is acknowledged in a transaction ends with the commit; after a rollback it is unacknowledged as before."""
    with peer() as p:
        transactional(p)
        queue = p.queue(1)
        for number in range(4):
            p.publish(1, queue, b"%d" % number)
        p.call(1, "tx.commit")
        tags = [p.get(1, queue, no_ack=False)["deliveryTag"] for _ in range(4)]
        p.send(1, "basic.ack", deliveryTag=tags[0])
        p.send(1, "basic.nack", deliveryTag=tags[1], requeue=False)
        p.call(1, "tx.rollback")
        p.send(1, "basic.ack", deliveryTag=tags[1], multiple=True)
        p.send(1, "basic.nack", deliveryTag=tags[2], requeue=True)
        equal(p.count(1, queue), 0, "ready before the commit")
        p.call(1, "tx.commit")
        got = p.get(1, queue)
        equal((got["body"], got["redelivered"]), (b"2", True), "what was given back")
        # The last one is unacknowledged still.
        p.call(1, "channel.close", code=200)
        p.channel(1)
        equal(p.bodies(1, queue), [b"3"], "what was never acknowledged")


@case
def tags_are_checked_at_once():
    """An unknown tag, or one that the transaction has acknowledged already, is 406 when it is named."""
    with peer() as p:
        transactional(p)
        queue = p.queue(1)
        p.publish(1, queue)
        p.call(1, "tx.commit")
        tag = p.get(1, queue, no_ack=False)["deliveryTag"]
        p.send(1, "basic.ack", deliveryTag=tag)
        p.send(1, "basic.ack", deliveryTag=tag)
        p.channel_closed(406, f"unknown delivery tag {tag}")


@case
def messages_are_checked_at_once():
    """A message that cannot be published is refused when it comes; one that finds no queue comes back at the commit."""
    with peer() as p:
        transactional(p)
        p.publish(1, "nowhere", b"lost", mandatory=True)
        p.send(1, "tx.commit")
        returned = p.expect("basic.return")
        equal((returned["replyCode"], returned["body"]), (312, b"lost"), "what comes back")
        p.expect("tx.commit-ok")
        p.publish(1, "k", exchange=unique("none"))
        p.channel_closed(404)
        transactional(p)
        p.publish(1, "k", properties={"expiration": "soon"})
        p.channel_closed(406, "invalid expiration")


@case
def full_queues():
    """A commit into a queue that refuses is 406; what fitted is there."""
    with peer() as p:
        p.channel(2)
        queue = p.queue(2, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        transactional(p)
        for body in (b"a", b"b"):
            p.publish(1, queue, body)
        p.send(1, "tx.commit")
        p.channel_closed(406, "PRECONDITION_FAILED - partial tx completion")
        equal(p.bodies(2, queue), [b"a"], "messages")


@case
def a_commit_is_durable():
    """What a commit was answered for is done after a crash, publishes and acknowledgements alike."""
    server = own()
    with Peer(server.amqp_port) as p:
        p.channel(2, confirms=True)
        for name in ("from", "to"):
            p.queue(2, name, durable=True)
        for number in range(50):
            p.publish(2, "from", b"%d" % number, properties=PERSISTENT)
        p.confirmed(50)
        transactional(p)
        for number in range(30):
            got = p.get(1, "from", no_ack=False)
            p.publish(1, "to", got["body"], properties=PERSISTENT)
            p.send(1, "basic.ack", deliveryTag=got["deliveryTag"])
            if number == 19:
                p.call(1, "tx.commit")
        server.kill9()
    server.start()
    with Peer(server.amqp_port) as p:
        p.channel()
        equal(p.bodies(1, "to"), [b"%d" % number for number in range(20)], "moved")
        equal(p.bodies(1, "from"), [b"%d" % number for number in range(20, 50)], "left where it was")
