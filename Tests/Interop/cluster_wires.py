"""Clients that know nothing of clusters, at nodes of one: pika, RocketMQ's C++ client, HTTP; at a node that leads nothing, too.

Leaves to others: nodes (cluster_nodes.py), servers (nats_servers.py), what the clients do (pika_cases.py, rocketmq_cases.py).
"""

import contextlib
import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import amqp_suites
import cluster_nodes
import nats_servers
import rocketmq_suites
from browser import browser

LEVELS = rocketmq_suites.FLAGS[rocketmq_suites.FLAGS.index("--delay-levels"):]
# `members`: this client's consumer waits for ever for a pull of its own when a retry topic is on several brokers and a member leaves.
ROCKETMQ_CASES = [name for name in rocketmq_suites.CASES if name != "members"]


@contextlib.contextmanager
def _cluster(binary):
    """Three nodes, whose leaders stay: these clients begin anew when one changes."""
    with nats_servers.servers(3) as servers:
        cluster = cluster_nodes.Cluster(binary, servers, *LEVELS, "--cluster-rebalance", "off", speaks_all=True)
        try:
            cluster.until_led()
            yield cluster
        finally:
            cluster.end()


def _port(node, wire):
    return node.wires[wire].rsplit(":", 1)[1]


def _follower(cluster, shard=0):
    leader = cluster.leader(shard)
    return next(node for node in cluster.nodes if node is not leader)


def amqp(binary):
    """pika's cases at a node that does not lead the virtual host, and again when its leader was killed."""
    with _cluster(binary) as cluster:
        for round in ("first", "after the leader was killed"):
            # The virtual host `/` is in some shard: a node that leads none of them is a follower of it for sure.
            node = _leads_least(cluster)
            amqp_suites.SUITES["pika"](_port(node, "--amqp"))
            print(f"   {round}: all cases", flush=True)
            if round == "first":
                leader = max(cluster.nodes, key=lambda one: _led(cluster, one))
                leader.kill()
                time.sleep(1)
                leader.start()
                cluster.until_led()


def _led(cluster, node):
    try:
        return sum(one["role"] == "leading" for one in node.shards().values())
    except OSError:
        return 0


def _leads_least(cluster):
    return min(cluster.nodes, key=lambda node: _led(cluster, node))


def rocketmq(binary):
    """RocketMQ's C++ client with a node as its name server, and shards as brokers on two nodes."""
    with _cluster(binary) as cluster:
        leader = cluster.leader(0)
        other = _leads_least(cluster)
        _until_known(leader)
        line = cluster.line(leader.address)
        line.ask(op="moveLeader", shard=0, to=other.name)
        cluster.until_led()
        for case in ROCKETMQ_CASES:
            try:
                rocketmq_suites.run_case(_port(_follower(cluster), "--rocketmq"), case)
            except subprocess.CalledProcessError as error:
                raise AssertionError(f"{case} failed with status {error.returncode}") from None
            print(f"   {case}", flush=True)


def http(binary):
    """HTTP at every node: operations about any shard, readiness, the page, metrics of what each node leads."""
    with _cluster(binary) as cluster:
        for node in cluster.nodes:
            for topic in cluster_nodes.TOPICS:
                made = _post(node, op="schedule", topic=topic, id=f"h-{node.name}", delayMs=600_000, body=1)
                assert made["outcome"] == "scheduled", made
                for other in cluster.nodes:
                    assert _post(other, op="get", topic=topic, id=f"h-{node.name}")["state"] == "pending"
            assert _post(node, status=400, op="nothing")["error"] == "unknown_op"
            assert len(_post(node, op="shards")["shards"]) == cluster_nodes.SHARDS
            _until_known(node)
            assert _get(node, "/readyz") == (200, b"ok\n"), _get(node, "/readyz")
            assert _get(node, "/")[0] == 200
            assert _get(node, "/nowhere")[0] == 404
        pending, leading = 0, 0
        for node in cluster.nodes:
            status, page = _get(node, "/metrics")
            lines = page.decode().splitlines()
            assert status == 200 and len({line for line in lines if line.startswith("# TYPE")}) == sum(
                line.startswith("# TYPE") for line in lines), "a family stands twice"
            pending += _sum(lines, "escapement_pending_messages{")
            leading += _sum(lines, "escapement_shard_leading{")
        assert (pending, leading) == (3 * len(cluster_nodes.TOPICS), cluster_nodes.SHARDS), (pending, leading)


def tls(binary):
    """Nodes that speak TLS to clients, to each other and to the servers of NATS: redirects, splices, notes, and a folder that is copied."""
    folder = nats_servers.tools.HOME / "cluster-tls"
    authority, block = nats_servers.certificates(folder)
    flags = ["--tls-cert", folder / "server.pem", "--tls-key", folder / "server.key", "--cluster-tls-ca", authority]
    context = ssl.create_default_context(cafile=authority)
    with nats_servers.servers(3, extra=block, context=context) as servers:
        cluster = cluster_nodes.Cluster(binary, servers, *flags, speaks_all=True, context=context)
        try:
            cluster.until_led()
            client = cluster_nodes.Client(cluster)
            for node in cluster.nodes:
                for topic in cluster_nodes.TOPICS:
                    assert client.ask(topic, op="schedule", id=f"l-{node.name}", delayMs=600_000, body=1)["ok"]
                    assert _post(node, op="get", topic=topic, id=f"l-{node.name}")["state"] == "pending"
                _until_known(node)
            new = _leads_least(cluster)
            new.kill()
            shards = range(cluster_nodes.SHARDS)
            cluster_nodes.until("other leaders", lambda: all(cluster.leader(shard) not in (None, new) for shard in shards))
            shutil.rmtree(new.folder)
            for shard in shards:
                servers.purge(f"ESC-{shard}", below=servers.last_sequence(f"ESC-{shard}"))
            new.start()
            cluster.until_led()
            for shard in shards:
                cluster_nodes.until(f"shard {shard} is followed", lambda: new.shards()[shard]["role"] in ("following", "leading"))
            assert "folder_copied" in (cluster.folder / f"{new.name}.log").read_text()
            try:
                cluster_nodes.Line(new.address).ask(op="ping")
                raise AssertionError("a client without TLS was answered")
            except (OSError, ValueError):
                pass
        finally:
            cluster.end()


def _until_known(node):
    """Until the log has told of all nodes."""
    end = time.monotonic() + 20
    while any(len(one["nodes"]) < len(cluster_nodes.NODES) for one in _post(node, op="shards")["shards"]):
        assert time.monotonic() < end, _post(node, op="shards")
        time.sleep(0.2)


def page(binary):
    """The page of a node shows the shards, and what is in each of them."""
    with _cluster(binary) as cluster:
        for topic in cluster_nodes.TOPICS:
            assert _post(cluster.nodes[0], op="schedule", topic=topic, delayMs=600_000, body=1)["ok"]
        with browser() as one:
            one.open(f"http://{_leads_least(cluster).wires['--http']}/")
            one.until(f"document.querySelectorAll('#shards tbody tr').length === {cluster_nodes.SHARDS}")
            shown = []
            for shard in range(cluster_nodes.SHARDS):
                one.run(f"document.querySelectorAll('#shards tbody button')[{shard}].click()")
                one.until(f"document.getElementById('shards-text').textContent.includes('of shard {shard}.')")
                one.until("document.getElementById('connection').dataset.state === 'live'")
                known = set(shown)
                script = "[...document.querySelectorAll('#topics tbody tr')].map((row) => row.cells[0].textContent)"
                one.until(f"{script}.every((name) => !{json.dumps(sorted(known))}.includes(name))")
                shown += one.run(script)
            assert sorted(shown) == sorted(cluster_nodes.TOPICS), shown


def _sum(lines, start):
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


def _post(node, status=200, **request):
    found, body = _get(node, "/v1", json.dumps(request).encode())
    assert found == status, (found, body)
    return json.loads(body)


def _get(node, path, data=None):
    try:
        context = node.cluster.context
        scheme = "https" if context else "http"
        with urllib.request.urlopen(f"{scheme}://{node.wires['--http']}{path}", data, timeout=10, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


OWN_SERVERS = {"cluster-amqp": amqp, "cluster-rocketmq": rocketmq, "cluster-http": http, "cluster-page": page, "cluster-tls": tls}
