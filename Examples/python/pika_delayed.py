#!/usr/bin/env python3
"""Delayed messages with pika and an unmodified AMQP client: three time-outs are set; one is moved, one is taken back.

`pip install pika`, `escapement serve`, and run it: no plugin is needed. `x-delay-id` names a pending message within its exchange.
"""
import os
import time

import pika

host, _, port = os.environ.get("ESCAPEMENT_AMQP", "127.0.0.1:5672").rpartition(":")
connection = pika.BlockingConnection(pika.ConnectionParameters(host, int(port)))
channel = connection.channel()
channel.confirm_delivery()
channel.exchange_declare("timeouts", "x-delayed-message", durable=True, arguments={"x-delayed-type": "direct"})
channel.queue_declare("timed-out-orders", durable=True)
channel.queue_bind("timed-out-orders", "timeouts", "order")


def publish(order, **headers):
    """Returns when the server has stored it; raises when a mandatory message goes nowhere, or cancels nothing."""
    channel.basic_publish("timeouts", "order", order.encode(), pika.BasicProperties(
        delivery_mode=2, headers={"x-delay-id": order, **headers}), mandatory=True)


run = time.time_ns()
began = time.monotonic()
for number, delay_ms in ((1, 1000), (2, 60_000), (3, 60_000)):
    publish(f"order-{run}-{number}", **{"x-delay": delay_ms})
    print(f"order {number} times out in {delay_ms} ms")
publish(f"order-{run}-2", **{"x-delay": 2000})
print("order 2 times out in 2000 ms instead")
publish(f"order-{run}-3", **{"x-delay-cancel": True})
print("order 3 is paid")
try:
    publish(f"order-{run}-3", **{"x-delay-cancel": True})
except pika.exceptions.UnroutableError as error:
    print(f"nothing is pending for it any more: {error.messages[0].method.reply_text}")

timed_out = []
for method, _, body in channel.consume("timed-out-orders", inactivity_timeout=20):
    if method is None:
        raise SystemExit("nothing came")
    channel.basic_ack(method.delivery_tag)
    if body.startswith(f"order-{run}-".encode()):
        timed_out.append(body[-1:].decode())
        print(f"order {timed_out[-1]} timed out after {(time.monotonic() - began) * 1000:.0f} ms")
    if len(timed_out) == 2:
        break
channel.cancel()
connection.close()
assert timed_out == ["1", "2"], timed_out
