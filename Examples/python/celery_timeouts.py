#!/usr/bin/env python3
"""Order time-outs as Celery tasks: two orders are placed, one is paid; the other is cancelled when its countdown is over.

`pip install celery`, `escapement serve`, and run it: it starts a worker for itself. The queue is a quorum queue, so that Celery delays
by queues of the server and not in the memory of its worker: a countdown outlives both.
"""
import os
import pathlib
import subprocess
import sys
import time

from celery import Celery
from kombu import Exchange, Queue

SERVER = os.environ.get("ESCAPEMENT_AMQP", "127.0.0.1:5672")
exchange = Exchange("order-tasks", type="topic")
app = Celery("celery_timeouts", broker=f"amqp://guest:guest@{SERVER}//", backend="rpc://")
app.conf.update(
    task_queues=[Queue("order-tasks", exchange, routing_key="order-tasks", queue_arguments={"x-queue-type": "quorum"})],
    task_default_queue="order-tasks", task_default_exchange="order-tasks", task_default_exchange_type="topic",
    task_default_routing_key="order-tasks", task_default_queue_type="quorum", worker_detect_quorum_queues=True,
    broker_transport_options={"confirm_publish": True}, broker_connection_retry_on_startup=True, task_acks_late=True)
paid = set()


@app.task
def pay(order):
    paid.add(order)


@app.task
def cancel_if_unpaid(order, placed):
    return order, order not in paid, time.time() - placed


def main():
    folder = pathlib.Path(__file__).resolve().parent
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_timeouts", "worker", "--pool", "solo", "-l", "WARNING"], cwd=folder)
    try:
        # The worker declares the queues that delay.
        while not app.control.ping(timeout=1):
            assert worker.poll() is None, "the worker has ended"
        run = time.time_ns()
        results = [cancel_if_unpaid.apply_async((f"order-{run}-{number}", time.time()), countdown=3) for number in (1, 2)]
        pay.delay(f"order-{run}-1").get(timeout=60)
        print("order 1 is paid")
        for number, result in enumerate(results, 1):
            order, is_cancelled, seconds = result.get(timeout=60)
            print(f"order {number}, looked at after {seconds:.2f} s, is {'cancelled' if is_cancelled else 'on its way'}")
            assert is_cancelled == (number == 2) and seconds >= 3, (order, is_cancelled, seconds)
    finally:
        worker.terminate()
        worker.wait(60)


if __name__ == "__main__":
    main()
