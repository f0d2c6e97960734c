#!/usr/bin/env python3
"""pika against a server: `pika_cases.py PORT [NAME…]`, all cases but those named. What users of RabbitMQ write, and what delayed messages need.

Holds: every wait ends; queues and exchanges have names that nobody else uses. The cases of the delayed exchange are run where the
server offers it (ours does; RabbitMQ without plugins refuses the type).
"""

import sys
import time
import uuid

import pika

PORT = int(sys.argv[1])
CASES = []
RAW = bytes(range(256))


def case(function):
    CASES.append(function)
    return function


def connect(**options):
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT, blocked_connection_timeout=30, **options))


def unique(stem):
    return f"{stem}-{uuid.uuid4()}"


def get(channel, queue, wait_s=10.0, auto_ack=True):
    """The next message of a queue: (method, properties, body); None when none came in time."""
    end = time.monotonic() + wait_s
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=auto_ack)
        if method:
            return method, properties, body
        if time.monotonic() > end:
            return None
        time.sleep(0.005)


def until(channel, condition, wait_s=10.0):
    """Lets the client read until `condition()` is true."""
    end = time.monotonic() + wait_s
    while not condition() and time.monotonic() < end:
        channel.connection.process_data_events(0.02)


def equal(actual, expected, what):
    assert actual == expected, f"{what}: got {actual!r}, expected {expected!r}"


def queue(channel, **options):
    name = unique("q")
    channel.queue_declare(name, **options)
    return name


@case
def bodies_and_properties_come_back(channel):
    name = queue(channel, durable=True)
    properties = pika.BasicProperties(
        content_type="text/plain", content_encoding="utf-8", delivery_mode=2, priority=3, correlation_id="c", reply_to="r",
        message_id="m", timestamp=1_700_000_000, type="t", user_id="guest", app_id="a",
        headers={"i": 1, "neg": -1, "big": 1 << 40, "s": "\u00e9", "b": True, "n": None, "l": [1, "x", {"y": 2}]})
    for body in (b"", b"x", RAW, RAW * 4000):
        channel.basic_publish("", name, body, properties)
        method, got, found = get(channel, name)
        equal((found, method.redelivered, method.routing_key), (body, False, name), "the message")
        equal(vars(got), vars(properties), "its properties")


@case
def confirms_returns_and_nacks(channel):
    channel.confirm_delivery()
    name = queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.basic_publish("", name, b"1", mandatory=True)
    for key, error in ((unique("nowhere"), pika.exceptions.UnroutableError), (name, pika.exceptions.NackError)):
        try:
            channel.basic_publish("", key, b"2", mandatory=True)
        except error:
            continue
        raise AssertionError(f"{error.__name__} expected")


@case
def acknowledged_refused_and_returned(channel):
    name = queue(channel)
    for number in range(4):
        channel.basic_publish("", name, str(number))
    taken = [get(channel, name, auto_ack=False) for _ in range(4)]
    channel.basic_ack(taken[1][0].delivery_tag)
    channel.basic_reject(taken[3][0].delivery_tag, requeue=False)
    channel.basic_nack(taken[2][0].delivery_tag, multiple=True, requeue=True)
    again = [get(channel, name) for _ in range(2)]
    equal([(one[2], one[0].redelivered) for one in again], [(b"0", True), (b"2", True)], "back in their old places")
    equal(channel.basic_get(name)[0], None, "the rest")


@case
def prefetch_bounds_a_consumer(channel):
    name = queue(channel)
    channel.basic_qos(prefetch_count=2)
    for number in range(5):
        channel.basic_publish("", name, str(number))
    got = []
    for method, _, body in channel.consume(name, inactivity_timeout=0.3):
        if method is None:
            break
        got.append((method.delivery_tag, body))
    equal([body for _, body in got], [b"0", b"1"], "before an acknowledgement")
    channel.basic_ack(got[-1][0], multiple=True)
    method, _, body = next(channel.consume(name, inactivity_timeout=5))
    equal(body, b"2", "after it")
    channel.cancel()


@case
def a_transaction_is_done_whole_or_not(channel):
    name = queue(channel)
    channel.tx_select()
    channel.basic_publish("", name, b"dropped")
    channel.tx_rollback()
    channel.basic_publish("", name, b"kept")
    equal(channel.queue_declare(name, passive=True).method.message_count, 0, "before the commit")
    channel.tx_commit()
    equal(get(channel, name)[2], b"kept", "after it")
    equal(channel.basic_get(name)[0], None, "the rest")


@case
def exchanges_bind_to_exchanges(channel):
    inner, outer, name = unique("e"), unique("e"), queue(channel)
    channel.exchange_declare(outer, "topic")
    channel.exchange_declare(inner, "fanout")
    channel.exchange_bind(inner, outer, "a.#")
    channel.queue_bind(name, inner)
    channel.basic_publish(outer, "a.b.c", b"yes")
    channel.basic_publish(outer, "b.c", b"no")
    equal(get(channel, name)[2], b"yes", "through two exchanges")
    channel.exchange_unbind(inner, outer, "a.#")
    channel.basic_publish(outer, "a.b", b"no")
    equal(channel.basic_get(name)[0], None, "after the unbinding")


@case
def priorities_come_first(channel):
    name = queue(channel, arguments={"x-max-priority": 5})
    for priority in (1, 5, 0, 9, 3):
        channel.basic_publish("", name, str(priority), pika.BasicProperties(priority=priority))
    equal([get(channel, name)[2] for _ in range(5)], [b"5", b"9", b"3", b"1", b"0"], "order")


@case
def expired_messages_are_dead_letters_on_time(channel):
    dead = queue(channel)
    waiting = queue(channel, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    began = time.time()
    for ms in (300, 100):
        channel.basic_publish("", waiting, str(ms), pika.BasicProperties(expiration=str(ms)))
    if is_ours(channel):
        first = get(channel, dead)
        equal(first[2], b"100", "the shorter one, though it stands behind the longer one")
        assert time.time() - began >= 0.1
    method, properties, body = get(channel, dead)
    death = properties.headers["x-death"][0]
    equal((death["reason"], death["queue"], death["count"]), ("expired", waiting, 1), "x-death")
    equal(properties.expiration, None, "expiration")


@case
def one_active_consumer_at_a_time(channel):
    name = queue(channel, arguments={"x-single-active-consumer": True})
    got = []
    tags = [channel.basic_consume(name, lambda *m, n=n: got.append((n, m[3])), auto_ack=True) for n in (1, 2)]
    channel.basic_publish("", name, b"a")
    until(channel, lambda: got)
    channel.basic_cancel(tags[0])
    channel.basic_publish("", name, b"b")
    until(channel, lambda: len(got) > 1)
    equal(got, [(1, b"a"), (2, b"b")], "who got what")


@case
def a_deleted_queue_cancels_its_consumers(channel):
    name = queue(channel)
    cancelled = []
    channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    tag = channel.basic_consume(name, lambda *_: None)
    channel.queue_delete(name)
    until(channel, lambda: cancelled)
    equal(cancelled, [tag], "consumer cancel notify")


@case
def direct_reply_to(channel):
    requests, replies = queue(channel), []
    channel.basic_consume("amq.rabbitmq.reply-to", lambda *m: replies.append(m[3]), auto_ack=True)
    channel.basic_publish("", requests, b"ping", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    with connect() as other:
        server = other.channel()
        _, properties, _ = get(server, requests)
        assert properties.reply_to.startswith("amq.rabbitmq.reply-to."), properties.reply_to
        server.basic_publish("", properties.reply_to, b"pong")
    until(channel, lambda: replies)
    equal(replies, [b"pong"], "the reply")


@case
def errors_close_the_channel_with_their_code(channel):
    connection = channel.connection
    name = queue(channel)
    for code, broken in (
        (404, lambda c: c.queue_declare(unique("no"), passive=True)), (404, lambda c: c.basic_consume(unique("no"), print)),
        (406, lambda c: c.queue_declare(name, durable=True)), (403, lambda c: c.queue_declare("amq.mine")),
        (406, lambda c: c.queue_declare(unique("q"), arguments={"x-message-ttl": -1})),
        (403, lambda c: c.exchange_delete("amq.direct")), (404, lambda c: c.queue_bind(name, unique("no"))),
    ):
        other = connection.channel()
        try:
            broken(other)
        except pika.exceptions.ChannelClosedByBroker as error:
            equal(error.reply_code, code, error.reply_text)
        else:
            raise AssertionError(f"{code} expected")


def is_ours(channel):
    return "RabbitMQ" != channel.connection._impl.server_properties.get("product")


def delayed(channel):
    name = unique("delayed")
    channel.exchange_declare(name, "x-delayed-message", durable=True, arguments={"x-delayed-type": "direct"})
    return name


@case
def a_delayed_message_comes_at_its_time(channel):
    if not is_ours(channel):
        return
    channel.confirm_delivery()
    exchange, name = delayed(channel), queue(channel)
    channel.queue_bind(name, exchange, "k")
    began = time.time()
    for ms in (400, 150, 0):
        channel.basic_publish(
            exchange, "k", str(ms), pika.BasicProperties(headers={"x-delay": ms} if ms else {}, delivery_mode=2), mandatory=True)
    got = [get(channel, name) for _ in range(3)]
    equal([one[2] for one in got], [b"0", b"150", b"400"], "in the order of their times")
    assert time.time() - began >= 0.4, "early"
    equal(got[1][1].headers["x-delay"], -150, "the sign is turned")


@case
def a_named_delayed_message_is_replaced_and_cancelled(channel):
    if not is_ours(channel):
        return
    channel.confirm_delivery()
    exchange, name = delayed(channel), queue(channel)
    channel.queue_bind(name, exchange, "k")

    def publish(body, mandatory=False, **headers):
        channel.basic_publish(
            exchange, "k", body, pika.BasicProperties(headers={key.replace("_", "-"): value for key, value in headers.items()}),
            mandatory=mandatory)

    publish(b"old", x_delay=60_000, x_delay_id="one")
    publish(b"new", x_delay=200, x_delay_id="one")
    publish(b"cancelled", x_delay=100, x_delay_id="two")
    publish(b"", x_delay_cancel=True, x_delay_id="two", mandatory=True)
    equal(get(channel, name)[2], b"new", "the replaced one")
    equal(get(channel, name, 0.3), None, "the cancelled one")
    try:
        publish(b"", x_delay_cancel=True, x_delay_id="two", mandatory=True)
    except pika.exceptions.UnroutableError as error:
        equal(error.messages[0].method.reply_code, 312, "code")
    else:
        raise AssertionError("a cancel of what is not pending comes back when it is mandatory")


def main():
    unknown = set(sys.argv[2:]) - {each.__name__ for each in CASES}
    assert not unknown, f"left out, but not there: {unknown}"
    for each in CASES:
        if each.__name__ in sys.argv[2:]:
            continue
        with connect() as connection:
            each(connection.channel())
        print(f"ok    {each.__name__}", flush=True)


main()
