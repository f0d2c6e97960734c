"""Rights of the access file: each operation with the right and without it, on the line and by HTTP, and their end on SIGHUP."""

import functools
import itertools
import json
import os
import pathlib
import re
import signal
import tempfile

from escapement_driver import equal, eventually, run_command, unique
from http_client import HttpClient
from suite import case, own

_numbers = itertools.count(1)


@functools.cache
def folder():
    """A folder that goes away with this process."""
    return tempfile.TemporaryDirectory(prefix="escapement-rights-")


def code(client, op, **fields):
    """The error code of an operation by the line protocol; None when it was done."""
    return client.call(op, **fields).get("error")


class Access:
    """An access file and a server that uses it."""

    def __init__(self, *flags):
        self.path = os.path.join(folder().name, f"access-{next(_numbers)}")
        self.secrets = {}
        self.add("root", "all:*")
        self.server = own("--access", self.path, "--http", "127.0.0.1:0", *flags)

    def add(self, name, *grants):
        words = [word for grant in grants for word in ("--allow", grant)]
        status, output = run_command("access", "add", name, "--access", self.path, *words)
        equal(status, 0, output)
        self.secrets[name] = output.strip()

    def remove(self, name):
        equal(run_command("access", "remove", name, "--access", self.path)[0], 0)

    def reload(self):
        """Tells the server to read the file again, and waits until it has."""
        count = self.server.errors().count("read the access file again")
        self.server.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.server.errors().count("read the access file again") > count, what="the reload")

    def token(self, name):
        return f"{name}:{self.secrets[name]}"

    def line(self, name):
        client = self.server.client()
        client.ok("hello", protocol=1, token=self.token(name))
        return client

    def http(self, name):
        return HttpClient(self.server.address_for("HTTP"), [f"Authorization: Bearer {self.token(name)}"])


# What each operation takes: grants that are enough together, and the fields of a request.
TABLE = [
    ("schedule", ["schedule:topic:a.*"], dict(topic="a.t", delayMs=60_000, body=1)),
    ("scheduleMany", ["schedule:topic:a.*"], dict(topic="a.t", messages=[dict(delayMs=60_000, body=1)])),
    ("publish", ["schedule:topic:a.*"], dict(topic="a.t", body=1)),
    ("cancel", ["cancel:topic:a.*"], dict(topic="a.t", id="x")),
    ("reschedule", ["cancel:topic:a.*"], dict(topic="a.t", id="x", delayMs=1)),
    ("get", ["inspect:topic:a.*"], dict(topic="a.t", id="x")),
    ("list", ["inspect:topic:a.*"], dict(topic="a.t")),
    ("subscribe", ["consume:topic:a.*", "consume:group:g"], dict(topic="a.t", group="g")),
    ("subscribe", ["consume:topic:a.*"], dict(topic="a.t")),
    ("fetch", ["consume:topic:a.*", "consume:group:g"], dict(topic="a.t", group="g")),
    ("ack", ["consume:topic:a.*", "consume:group:g"], dict(topic="a.t", group="g", offset=1)),
    ("nack", ["consume:topic:a.*", "consume:group:g"], dict(topic="a.t", group="g", offset=1)),
    ("touch", ["consume:topic:a.*", "consume:group:g"], dict(topic="a.t", group="g", offset=1)),
    ("seek", ["consume:topic:a.*", "consume:group:g"], dict(topic="a.t", group="g", to="earliest")),
    ("read", ["consume:topic:a.*"], dict(topic="a.t")),
    ("redrive", ["consume:topic:a.*", "consume:group:g", "schedule:topic:a.*"], dict(topic="a.t", group="g")),
    ("createTopic", ["admin:topic:a.*"], dict(topic="a.new")),
    ("deleteTopic", ["admin:topic:a.*"], dict(topic="a.new")),
    ("snapshot", ["admin:*"], dict(folder="/nowhere/that/is/there")),
    ("stats", ["inspect:*"], {}),
    ("wheel", ["inspect:*"], {}),
    ("rocketmq.send", ["schedule:topic:a.*"], dict(topic="a.t", body="x")),
    ("rocketmq.recall", ["cancel:topic:a.*"], dict(topic="a.t", recallHandle="x")),
    ("rocketmq.subscribe", ["consume:topic:a.*", "consume:group:g"], dict(topic="a.t", consumerGroup="g")),
    ("rocketmq.sendHalf", ["schedule:topic:a.*", "schedule:group:p"], dict(topic="a.t", producerGroup="p", body="x")),
    ("rocketmq.registerProducer", ["schedule:group:p"], dict(producerGroup="p")),
    ("rabbitmq.exchangeDeclare", ["admin:exchange:e*"], dict(exchange="e1", type="fanout")),
    ("rabbitmq.exchangeDeclare", ["inspect:exchange:e*"], dict(exchange="e", passive=True)),
    ("rabbitmq.exchangeDeclare", ["admin:exchange:e*", "schedule:exchange:e"],
     dict(exchange="e2", type="fanout", arguments={"alternate-exchange": "e"})),
    ("rabbitmq.exchangeBind", ["admin:exchange:e*", "consume:exchange:amq.fanout"], dict(destination="e", source="amq.fanout")),
    ("rabbitmq.exchangeUnbind", ["admin:exchange:e*", "consume:exchange:amq.fanout"], dict(destination="e", source="amq.fanout")),
    ("rabbitmq.delayed", ["inspect:exchange:d*"], dict(exchange="d")),
    ("rabbitmq.cancelDelayed", ["cancel:exchange:d*"], dict(exchange="d", id="x")),
    ("rabbitmq.exchangeDelete", ["admin:exchange:e*"], dict(exchange="e1")),
    ("rabbitmq.queueDeclare", ["admin:queue:q*"], dict(queue="q1", durable=True)),
    ("rabbitmq.queueDeclare", ["admin:queue:amq.gen-*"], dict(exclusive=True)),
    ("rabbitmq.queueDeclare", ["inspect:queue:q*"], dict(queue="q", passive=True)),
    ("rabbitmq.queueDeclare", ["admin:queue:q*", "schedule:exchange:e"],
     dict(queue="q2", durable=True, arguments={"x-dead-letter-exchange": "e"})),
    ("rabbitmq.queueDeclare", ["admin:queue:q*", "schedule:queue:other"],
     dict(queue="q3", durable=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "other"})),
    ("rabbitmq.queueBind", ["admin:queue:q*", "consume:exchange:e"], dict(queue="q", exchange="e")),
    ("rabbitmq.queueUnbind", ["admin:queue:q*", "consume:exchange:e"], dict(queue="q", exchange="e")),
    ("rabbitmq.queuePurge", ["admin:queue:q*"], dict(queue="q")),
    ("rabbitmq.publish", ["schedule:exchange:e"], dict(exchange="e", routingKey="k", body="x")),
    ("rabbitmq.publish", ["schedule:queue:q*"], dict(exchange="", routingKey="q", body="x")),
    ("rabbitmq.publish", ["schedule:queue:q", "schedule:queue:other"],
     dict(exchange="", routingKey="q", body="x", properties={"headers": {"BCC": ["other"]}})),
    ("rabbitmq.get", ["consume:queue:q*"], dict(queue="q")),
    ("rabbitmq.consume", ["consume:queue:q*"], dict(queue="q")),
    ("rabbitmq.queueDelete", ["admin:queue:q*"], dict(queue="q2")),
]
# What an operation may be refused with although it is allowed: what it is about is not there, or no handle.
REFUSED = {"rocketmq.recall": "bad_request"}
PUSHING = {"subscribe", "rocketmq.subscribe", "rocketmq.registerProducer", "rabbitmq.consume"}


@case
def each_operation_takes_its_rights():
    """Every operation is done with just the rights that it takes, and is `forbidden` when any one of them is missing."""
    access = Access()
    for index, (_, grants, _) in enumerate(TABLE):
        access.add(f"has{index}", *grants)
        for left_out in range(len(grants)):
            # Every other right on everything it names, and all rights on everything else.
            rest = [grant for place, grant in enumerate(grants) if place != left_out]
            access.add(f"lacks{index}.{left_out}", *rest, "all:unrelated")
    access.reload()
    root = access.line("root")
    root.ok("createTopic", topic="a.t")
    root.ok("rabbitmq.exchangeDeclare", exchange="e", type="fanout", durable=True)
    root.ok("rabbitmq.exchangeDeclare", exchange="d", type="x-delayed-message", arguments={"x-delayed-type": "direct"})
    root.ok("rabbitmq.queueDeclare", queue="q", durable=True)
    for index, (op, grants, fields) in enumerate(TABLE):
        for left_out in range(len(grants)):
            name = f"lacks{index}.{left_out}"
            reply = access.line(name).call(op, **fields)
            equal((reply["ok"], reply.get("error")), (False, "forbidden"), f"{op} without {grants[left_out]}")
            equal(access.http(name).refused(op, **fields), (403, "forbidden"), f"{op} without {grants[left_out]}")
        reply = access.line(f"has{index}").call(op, **fields)
        refused = REFUSED.get(op, ("not_found", "bad_state"))
        assert reply["ok"] or reply["error"] in refused, f"{op} with {grants}: {reply}"
        if op not in PUSHING:
            status, reply = access.http(f"has{index}").op(op, **fields)
            assert status == 200 or reply["error"] in refused, f"{op} with {grants}: {status} {reply}"


@case
def the_table_has_every_operation_that_takes_a_right():
    """Every operation of the server that names a right in its table is in the one above."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "Sources/Server/Line"
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("OperationTable*.swift")))
    rows = re.findall(r'name: "([\w.]+)",\s+permission: \.(\w+)', text)
    assert len(rows) > 40, rows
    missing = {name for name, kind in rows if kind not in ("known", "anybody")} - {row[0] for row in TABLE}
    equal(missing, set())


@case
def nothing_is_done_before_a_good_secret():
    """Before a good secret only `hello` and `ping`; lines are short and time is bounded; `NAME:SECRET` must belong together."""
    access = Access("--handshake-timeout-ms", 500)
    access.add("other", "all:*")
    access.reload()
    stranger = access.server.client()
    stranger.ok("ping")
    for op in ("topics", "stats", "frobnicate", "schedule"):
        equal(code(stranger, op), "unauthenticated", op)
    for token in ("root", "root:", ":" + access.secrets["root"], access.secrets["root"], "root:" + access.secrets["other"],
                  "root:" + access.secrets["root"] + "0"):
        equal(code(stranger, "hello", protocol=1, token=token), "unauthenticated", token)
    equal(code(stranger, "hello", protocol=1), "unauthenticated")
    equal(stranger.recv()["error"], "unauthenticated", "after the time for it")
    stranger.closed()
    long = access.server.client()
    long.send_raw(b'{"op":"ping","rid":"' + b"x" * 10_000)
    equal(long.recv()["error"], "line_too_long")
    access.line("root").ok("topics")


@case
def listings_show_what_may_be_inspected():
    """`topics`, `rabbitmq.queues`, `rabbitmq.exchanges` and `overview` leave out what the client may not inspect."""
    access = Access()
    access.add("some", "inspect:topic:a*", "inspect:group:g1", "inspect:queue:q1", "inspect:exchange:amq.t*")
    access.reload()
    root = access.line("root")
    for topic in ("a1", "a2", "b"):
        root.ok("createTopic", topic=topic)
        for group in ("g1", "g2"):
            root.ok("seek", topic=topic, group=group, to="earliest")
    for queue in ("q1", "q2"):
        root.ok("rabbitmq.queueDeclare", queue=queue, durable=True)
    for client in (access.line("some"), access.http("some")):
        equal([(row["topic"], [group["group"] for group in row["groups"]]) for row in client.ok("topics")["topics"]],
              [("a1", ["g1"]), ("a2", ["g1"])])
        equal([row["queue"] for row in client.ok("rabbitmq.queues")["queues"]], ["q1"])
        equal([row["exchange"] for row in client.ok("rabbitmq.exchanges")["exchanges"]], ["amq.topic"])
        seen = client.ok("overview", limit=1)
        equal([(row["topic"], [group["group"] for group in row["groups"]]) for row in seen["topics"]], [("a1", ["g1"])])
        equal([row["queue"] for row in seen["queues"]] + [row["exchange"] for row in seen["exchanges"]], ["q1", "amq.topic"])
        assert seen["hasMore"] and not {"stats", "wheel", "disk", "lateness"} & set(seen), seen


@case
def a_right_that_is_taken_away_ends_its_subscriptions():
    """On SIGHUP the file is read again: subscriptions and waiting fetches without a right any more end, others go on."""
    access = Access()
    access.add("shop", "consume:a", "consume:b", "consume:g", "schedule:*", "consume:queue:q", "admin:queue:q")
    access.reload()
    client, fetcher = access.line("shop"), access.http("shop")
    kept, lost = client.ok("subscribe", topic="a", group="g")["sub"], client.ok("subscribe", topic="b", group="g")["sub"]
    client.ok("rabbitmq.queueDeclare", queue="q", durable=True)
    tag = client.ok("rabbitmq.consume", queue="q")["consumerTag"]
    fetcher.begin("POST", "/v1", json.dumps({"op": "fetch", "topic": "b", "group": "g", "waitMs": 60_000}).encode())
    watcher = access.line("root")
    eventually(lambda: watcher.ok("stats")["consumers"] == 4, what="the fetch")
    secret = access.secrets["shop"]
    with open(access.path, encoding="utf-8") as file:
        text = file.read()
    with open(access.path, "w", encoding="utf-8") as file:
        file.write(text.replace("  consume:b", "").replace("  consume:queue:q", "").replace(" consume:b", "").replace(
            " consume:queue:q", ""))
    access.reload()
    events = [client.event() for _ in range(2)]
    equal(sorted((event["event"], event.get("sub"), event.get("consumerTag")) for event in events),
          [("ended", lost, None), ("rabbitmq.cancel", None, tag)])
    equal([event.get("reason") for event in events if event["event"] == "ended"], ["forbidden"])
    response = fetcher.response()
    equal((response.status, json.loads(response.body)["error"]), (403, "forbidden"))
    client.ok("publish", topic="a", body="still")
    equal(client.event()["sub"], kept)
    equal(code(client, "subscribe", topic="b", group="g"), "forbidden")
    # The entry goes: its client is nobody.
    access.remove("shop")
    access.reload()
    equal(client.event()["reason"], "forbidden")
    equal(code(client, "publish", topic="a", body=1), "unauthenticated")
    equal(fetcher.refused("topics"), (401, "unauthenticated"))
    # So is one whose secret was changed.
    access.add("shop", "all:*")
    access.reload()
    assert access.secrets["shop"] != secret
    equal(code(client, "hello", protocol=1, token=f"shop:{secret}"), "unauthenticated")
    client.ok("hello", protocol=1, token=access.token("shop"))
    client.ok("publish", topic="a", body=1)


@case
def a_damaged_file_changes_nothing():
    """A file that cannot be understood on SIGHUP is reported, and what it said before holds; at a start it is an error."""
    access = Access()
    with open(access.path, "a", encoding="utf-8") as file:
        file.write("nonsense\n")
    access.server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "access file was not read again" in access.server.errors(), what="the report")
    access.line("root").ok("topics")
    status, output = run_command("serve", "--access", access.path, "--print-settings")
    assert status == 2 and "line" in output, output


@case
def a_transaction_is_decided_and_shown_by_those_of_its_topic():
    """`rocketmq.endTransaction` and check-backs take the right to schedule on the message's topic."""
    access = Access("--transaction-check-delay-ms", 50, "--transaction-check-interval-ms", 50)
    access.add("a", "schedule:topic:a", "schedule:group:p")
    access.add("b", "schedule:topic:b", "schedule:group:p")
    access.reload()
    one, other = access.line("a"), access.line("b")
    other.ok("rocketmq.registerProducer", producerGroup="p")
    transaction = one.ok("rocketmq.sendHalf", topic="a", producerGroup="p", body="secret")["transactionId"]
    equal(code(other, "rocketmq.endTransaction", transactionId=transaction, state="COMMIT"), "forbidden")
    other.quiet(0.3)
    equal(one.ok("rocketmq.endTransaction", transactionId=transaction, state="COMMIT")["outcome"], "committed")


@case
def the_metrics_take_the_right_to_inspect_everything():
    """`/metrics` needs `inspect` on everything; health needs nothing."""
    access = Access()
    access.add("prometheus", "inspect:*")
    access.add("shop", "inspect:topic:*")
    access.reload()
    equal(access.http("prometheus").request("GET", "/metrics").status, 200)
    equal(access.http("shop").request("GET", "/metrics").status, 403)
    plain = HttpClient(access.server.address_for("HTTP"))
    equal(plain.request("GET", "/metrics").status, 401)
    equal(plain.request("GET", "/healthz").status, 200)


@case
def an_access_file_lets_the_server_listen_beyond_loopback():
    """With an access file the server listens on other than loopback addresses; without one and without tokens it does not."""
    access = Access()
    status, output = run_command("serve", "--listen", "0.0.0.0:0", "--http", "off", "--print-settings")
    equal(status, 2, output)
    for flags in (("--access", access.path), ("--insecure",)):
        status, output = run_command("serve", "--listen", "0.0.0.0:0", "--http", "0.0.0.0:0", *flags, "--print-settings")
        equal(status, 0, output)
