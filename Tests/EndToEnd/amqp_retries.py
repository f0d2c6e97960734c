"""AMQP: deliveries that are kept for too long, and how long what comes back waits before it is delivered again."""

import time

from amqp_driver import PERSISTENT, Ended, Peer
from escapement_driver import equal, unique
from rabbitmq_client import Rabbit
from suite import case, connect, own, shared


def peer(**options):
    return Peer(shared().amqp_port, **options)


def declared(p, channel=1, **arguments):
    """A durable queue with `arguments` given as keywords such as x_message_ttl."""
    return p.queue(channel, unique("q"), durable=True, arguments={key.replace("_", "-"): arguments[key] for key in arguments})


@case
def a_delivery_that_is_kept_for_too_long():
    """`x-consumer-timeout`: the channel of a consumer that keeps a delivery for longer is closed with 406, and no other."""
    with peer() as p:
        p.channel(1)
        p.channel(2)
        queue = declared(p, x_consumer_timeout=300)
        patient = declared(p, x_consumer_timeout=60_000)
        p.publish(1, queue, b"slow", properties=PERSISTENT)
        p.publish(1, patient, b"fine", properties=PERSISTENT)
        p.call(2, "basic.consume", queue=patient, consumerTag="patient")
        equal(p.expect("basic.deliver", 2)["body"], b"fine", "the other channel's")
        began = time.monotonic()
        p.call(1, "basic.consume", queue=queue, consumerTag="c")
        equal(p.expect("basic.deliver", 1)["body"], b"slow", "the delivery")
        p.channel_closed(406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 300 ms")
        assert time.monotonic() - began >= 0.3, "too early"
        got = p.get(p.channel(1), queue)
        equal((got["body"], got["redelivered"]), (b"slow", True), "what it had goes to others")
        p.sync(2)


@case
def what_is_acknowledged_in_time():
    """Deliveries that are acknowledged in time go on for longer than the timeout; so do those that need no acknowledgement."""
    with peer() as p:
        queue = declared(p, p.channel(), x_consumer_timeout=400)
        p.call(1, "basic.consume", queue=queue, consumerTag="c")
        p.channel(2)
        p.call(2, "basic.consume", queue=declared(p, 2, x_consumer_timeout=200), consumerTag="d", noAck=True)
        for number in range(12):
            p.publish(1, queue, b"%d" % number)
            delivery = p.expect("basic.deliver", 1)
            time.sleep(0.1)
            p.send(1, "basic.ack", deliveryTag=delivery["deliveryTag"])
        p.sync(1)
        p.sync(2)


@case
def a_get_that_is_kept_for_too_long():
    """The timeout counts for `basic.get`, too, and the server's own setting where the queue says nothing."""
    with Peer(own("--amqp-consumer-timeout-ms", 300).amqp_port) as p:
        queue = p.queue(p.channel())
        p.publish(1, queue)
        p.get(1, queue, no_ack=False)
        p.channel_closed(406, "Timeout value used: 300 ms")
    with Peer(own("--amqp-consumer-timeout-ms", 0).amqp_port) as p:
        queue = p.queue(p.channel())
        p.publish(1, queue)
        p.get(1, queue, no_ack=False)
        try:
            p.read(1)
        except (TimeoutError, Ended):
            pass
        p.sync(1)


@case
def the_channel_of_a_line():
    """By the line protocol the event `rabbitmq.closed` says the same: consumers are gone and deliveries have gone back."""
    with Rabbit(connect()) as r:
        queue = r.queue(x_consumer_timeout=300)
        r.publish(queue, "slow")
        r.ok("consume", queue=queue, consumerTag="c")
        r.client.event()
        event = r.client.event()
        equal(event["replyCode"], 406, "the code")
        assert "delivery acknowledgement" in event["message"], event
        r.refused("precondition_failed", 406, "ack", deliveryTag=1)
        equal(r.get(queue)["body"], "slow", "the message")
        r.ok("consume", queue=queue, consumerTag="c")


def kept_from(p, queue, began, no_ack=False):
    """Waits until a message can be taken; gives it and the seconds since `began`."""
    while time.monotonic() - began < 20:
        if got := p.get(1, queue, no_ack):
            return got, time.monotonic() - began
        time.sleep(0.01)
    raise AssertionError("nothing came back")


@case
def what_comes_back_waits():
    """`x-delayed-retry-type`: what is refused comes back after min(min × delivery count, max), and its count goes up."""
    for kind in ("all", "failed", "returned"):
        with peer() as p:
            queue = declared(p, p.channel(), x_queue_type="quorum", x_delayed_retry_type=kind, x_delayed_retry_min=200,
                             x_delayed_retry_max=500)
            p.publish(1, queue, b"x", properties=PERSISTENT)
            p.publish(1, queue, b"y", properties=PERSISTENT)
            got = p.get(1, queue, no_ack=False)
            for count, least in ((1, 0.2), (2, 0.4), (3, 0.5)):
                began = time.monotonic()
                p.send(1, "basic.nack", deliveryTag=got["deliveryTag"], requeue=True)
                if count == 1:
                    equal(p.get(1, queue)["body"], b"y", "what stands behind it does not wait")
                equal(p.count(1, queue), 1, "it counts as ready")
                got, took = kept_from(p, queue, began)
                assert took >= least, f"{kind}: came back after {took} s the time {count}"
                equal(got["properties"]["headers"]["x-delivery-count"], count, "the count")
            p.send(1, "basic.ack", deliveryTag=got["deliveryTag"])
            equal(p.count(1, queue), 0, "the end")


@case
def ways_of_coming_back():
    """`failed` delays what comes back from a channel that ended, `returned` what is recovered, `disabled` nothing."""
    for kind, way, waits in (("failed", "close", True), ("failed", "recover", False), ("returned", "close", False),
                             ("returned", "recover", True), ("all", "close", True), ("all", "recover", True),
                             ("disabled", "close", False), ("disabled", "recover", False)):
        with peer() as p:
            queue = declared(p, p.channel(), x_delayed_retry_type=kind, x_delayed_retry_min=1500)
            p.publish(1, queue, b"x")
            p.get(1, queue, no_ack=False)
            began = time.monotonic()
            if way == "close":
                p.call(1, "channel.close", code=200)
                p.channel(1)
            else:
                p.call(1, "basic.recover", requeue=True)
            _, took = kept_from(p, queue, began, no_ack=True)
            equal(took >= 1.5, waits, f"whether {kind} delays after {way}, {took} s")


@case
def waiting_for_a_retry_survives():
    """What waits to be delivered again waits on after a crash; its time to live and its delivery limit hold meanwhile."""
    server = own()
    with Peer(server.amqp_port) as p:
        dead = p.queue(p.channel(), "dead", durable=True)
        queue = p.queue(1, "q", durable=True, arguments={
            "x-delayed-retry-type": "all", "x-delayed-retry-min": 1500, "x-dead-letter-exchange": "", "x-delivery-limit": 1,
            "x-dead-letter-routing-key": dead})
        p.publish(1, queue, b"keeps", properties=PERSISTENT)
        p.publish(1, queue, b"expires", properties={**PERSISTENT, "expiration": "400"})
        began = time.monotonic()
        for _ in range(2):
            p.send(1, "basic.nack", deliveryTag=p.get(1, queue, no_ack=False)["deliveryTag"], requeue=True)
        got, took = kept_from(p, dead, began, no_ack=True)
        equal((got["body"], got["properties"]["headers"]["x-first-death-reason"]), (b"expires", "expired"), "on time")
        assert took < 1.5, took
        p.call(1, "confirm.select")
        p.publish(1, "nowhere", properties=PERSISTENT)
        p.confirmed(1)
    server.kill9()
    server.restart()
    with Peer(server.amqp_port) as p:
        p.channel()
        began = time.monotonic()
        got, _ = kept_from(p, queue, began)
        equal((got["body"], got["redelivered"]), (b"keeps", True), "what waited")
        p.send(1, "basic.nack", deliveryTag=got["deliveryTag"], requeue=True)
        got, _ = kept_from(p, dead, began, no_ack=True)
        equal(got["properties"]["headers"]["x-first-death-reason"], "delivery_limit", "the limit")


@case
def arguments_of_timeouts_and_retries():
    """Bad values of these arguments are 406."""
    for key, value in (("x-consumer-timeout", 0), ("x-consumer-timeout", "1"), ("x-delayed-retry-type", "some"),
                       ("x-delayed-retry-type", "all"), ("x-delayed-retry-min", 0), ("x-delayed-retry-max", -1),
                       ("x-dead-letter-strategy", "perhaps")):
        with peer() as p:
            p.channel()
            p.send(1, "queue.declare", queue="bad", arguments={key: value})
            p.channel_closed(406, f"PRECONDITION_FAILED - invalid arg '{key}' for queue 'bad' in vhost '/'")
