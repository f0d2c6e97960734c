#!/usr/bin/env python3
"""Order time-outs in plain Python: two orders are placed, one is paid; the other's time-out comes after two seconds."""
import json
import os
import socket
import time

TOPIC = "order-timeouts"


class Escapement:
    """One connection. A request is a JSON object on a line; so is a reply, and so is a message pushed to us."""

    def __init__(self, host="127.0.0.1", port=7611):
        self.lines = socket.create_connection((host, port)).makefile("rw", encoding="utf-8", newline="\n")
        self.messages = []  # pushed while we waited for a reply

    def read(self):
        line = self.lines.readline()
        if not line:
            raise ConnectionError("the server closed the connection")
        return json.loads(line)

    def ask(self, op, **fields):
        print(json.dumps({"op": op, **fields}), file=self.lines, flush=True)
        while "event" in (line := self.read()):
            self.messages.append(line)
        if not line["ok"]:
            raise RuntimeError(f"{op}: {line['error']}: {line['message']}")
        return line

    def next_message(self):
        return self.messages.pop(0) if self.messages else self.read()


host, _, port = os.environ.get("ESCAPEMENT_SERVER", "127.0.0.1:7611").rpartition(":")
server = Escapement(host, int(port))
server.ask("subscribe", topic=TOPIC, group="shop")
orders = [f"order-{time.time_ns()}-{number}" for number in (1, 2)]
for order in orders:
    # The id makes the request safe to repeat, and is what the time-out is cancelled by.
    reply = server.ask("schedule", topic=TOPIC, id=order, delayMs=2000, body={"order": order})
    print(order, reply["outcome"], "for", reply["deliverAtMs"])
# "cancelled" is a promise: the time-out will never come. "released" would mean that it was faster.
print(orders[0], "paid, time-out", server.ask("cancel", topic=TOPIC, id=orders[0])["outcome"])
message = server.next_message()
late = message["releasedAtMs"] - message["deliverAtMs"]
print(message["body"]["order"], f"was not paid in time and is closed ({late} ms late)")
server.ask("ack", topic=TOPIC, group="shop", offset=message["offset"])
