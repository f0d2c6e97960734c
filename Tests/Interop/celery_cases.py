#!/usr/bin/env python3
"""Celery against a server: `celery_cases.py PORT`. A worker of its own process runs tasks with countdowns, retries, results and,
on quorum queues, native delayed delivery through its 28 queues.

Holds: the worker is stopped by its process id; every wait ends.
"""

import os
import signal
import subprocess
import sys
import time
import uuid

from celery import Celery
from kombu import Exchange, Queue

PORT = int(os.environ.get("INTEROP_PORT") or sys.argv[1])
RUN = os.environ.setdefault("INTEROP_RUN", uuid.uuid4().hex)
KIND = os.environ.get("INTEROP_KIND", "classic")

app = Celery("celery_cases", broker=f"amqp://guest:guest@127.0.0.1:{PORT}//", backend="rpc://")
app.conf.update(
    task_default_queue=f"celery-{KIND}-{RUN}", broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1,
    broker_transport_options={"confirm_publish": True}, result_expires=60, task_acks_late=True)
if KIND == "quorum":
    # Native delayed delivery wants a topic exchange.
    name = f"celery-quorum-{RUN}"
    exchange = Exchange(name, type="topic")
    app.conf.update(
        task_queues=[Queue(name, exchange, routing_key=name, queue_arguments={"x-queue-type": "quorum"})],
        task_default_exchange=name, task_default_exchange_type="topic", task_default_routing_key=name,
        task_default_queue_type="quorum", worker_detect_quorum_queues=True)


@app.task
def started_at(sent):
    return time.time() - sent


@app.task(bind=True, max_retries=3)
def fails_twice(self):
    if self.request.retries < 2:
        raise self.retry(countdown=1)
    return self.request.retries


def equal(actual, expected, what):
    assert actual == expected, f"{what}: got {actual!r}, expected {expected!r}"


def check(kind):
    environment = {**os.environ, "INTEROP_KIND": kind, "INTEROP_PORT": str(PORT), "PYTHONPATH": os.path.dirname(__file__)}
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_cases", "worker", "--pool", "threads", "-c", "4", "-l", "WARNING"],
        env=environment, cwd=os.path.dirname(os.path.abspath(__file__)))
    client = subprocess.run([sys.executable, __file__, str(PORT), "client"], env=environment, timeout=120)
    try:
        equal(client.returncode, 0, f"the client of {kind} queues")
        assert worker.poll() is None, "the worker died"
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    print(f"ok    {kind} queues", flush=True)


def client():
    app.conf.update(task_default_queue=f"celery-{KIND}-{RUN}")
    assert started_at.delay(time.time()).get(timeout=60) >= 0
    results = [(countdown, started_at.apply_async((time.time(),), countdown=countdown)) for countdown in (3, 1, 2)]
    retried = fails_twice.delay()
    for countdown, result in results:
        late = result.get(timeout=60) - countdown
        # Celery's own clock and the server's are the same machine's; early by rounding is early.
        assert late >= -0.01, f"a task of {countdown} s came {-late} s early"
    equal(retried.get(timeout=60), 2, "retries")
    equal(app.control.ping(timeout=5)[0].popitem()[1], {"ok": "pong"}, "remote control")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        client()
    else:
        for kind in ("classic", "quorum"):
            check(kind)
