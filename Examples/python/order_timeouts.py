#!/usr/bin/env python3
"""Order time-outs in plain Python: two orders are placed, one is paid; the other's time-out comes after two seconds."""
import json
import os
import socket
import time

TOPIC = "order-timeouts"


class Escapement:
    """A client of a server or, given several addresses, of a cluster. A request is a JSON object on a line; so is its reply."""

    def __init__(self, addresses):
        self.addresses, self.lines = addresses, None

    def ask(self, op, **fields):
        """Asks until somebody has answered; so it must be safe to ask twice, and a message needs an id."""
        for pause in [0, 0.05, 0.1, 0.2, 0.4, 0.8] + [1] * 30:
            time.sleep(pause)
            try:
                if not self.lines:
                    host_and_port = self.addresses[0].rpartition(":")[::2]
                    self.lines = socket.create_connection(host_and_port, 5).makefile("rw", encoding="utf-8", newline="\n")
                print(json.dumps({"op": op, **fields}), file=self.lines, flush=True)
                line = json.loads(self.lines.readline())
            except (OSError, ValueError):  # gone, silent, or gone in the middle of a line
                line = {"error": "not_leader"}
            if line.get("ok"):
                return line
            if line.get("error", "not_leader") != "not_leader":
                raise RuntimeError(f"{op}: {line}")
            # In a cluster another one leads the topic. It comes first now or, while nobody leads, whoever is next in turn.
            leader = line.get("address", self.addresses[1 % len(self.addresses)])
            self.lines, self.addresses = None, [leader] + [other for other in self.addresses if other != leader]
        raise TimeoutError(f"{op}: nobody answers")


server = Escapement(os.environ.get("ESCAPEMENT_SERVER", "127.0.0.1:7611").split(","))
orders = [f"order-{time.time_ns()}-{number}" for number in (1, 2)]
for order in orders:
    reply = server.ask("schedule", topic=TOPIC, id=order, delayMs=2000, body={"order": order})
    print(order, reply["outcome"], "for", reply["deliverAtMs"])
# "cancelled" is a promise: the time-out will never come. "released" would mean that it was faster.
print(orders[0], "paid, time-out", server.ask("cancel", topic=TOPIC, id=orders[0])["outcome"])
while not (messages := server.ask("fetch", topic=TOPIC, group="shop", max=1, waitMs=2000)["messages"]):
    pass
late = messages[0]["releasedAtMs"] - messages[0]["deliverAtMs"]
print(messages[0]["body"]["order"], f"was not paid in time and is closed ({late} ms late)")
server.ask("ack", topic=TOPIC, group="shop", offset=messages[0]["offset"])
