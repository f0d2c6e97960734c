"""Clients of a cluster of three nodes on three NATS servers: the commands, the examples, and the demo, through ends of leaders.

Leaves to others: nodes (cluster_nodes.py), servers (nats_servers.py), what a cluster promises under faults (cluster_nodes.py).
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import cluster_nodes
import nats_servers
import tools

EXAMPLE = tools.ROOT / "Examples/python/order_timeouts.py"
TOPIC = "order-timeouts"
PATIENCE_S = 60


@contextlib.contextmanager
def _cluster(binary):
    with nats_servers.servers(3) as servers:
        cluster = cluster_nodes.Cluster(binary, servers)
        try:
            cluster.until_led()
            yield cluster
        finally:
            for node in cluster.nodes:
                node.signal(signal.SIGCONT)
            cluster.end()


def _leader(cluster, topic):
    client = cluster_nodes.Client(cluster)
    client.ask(topic, op="get", id="nothing")
    return cluster.node(client.at[topic])


def _environment(cluster):
    return os.environ | {"ESCAPEMENT_SERVER": ",".join(node.address for node in cluster.nodes)}


def example(binary):
    """The example in Python does what it says while the leader of its topic is killed, or stopped."""
    with _cluster(binary) as cluster:
        for what in ("nothing", "kill", "stop"):
            leader = _leader(cluster, TOPIC)
            running = subprocess.Popen([sys.executable, "-u", "-I", EXAMPLE], env=_environment(cluster), text=True,
                                       stdout=subprocess.PIPE)
            began = time.monotonic()
            # Three of its lines: two orders, one payment. What it waits for then is two seconds ahead.
            lines = [running.stdout.readline() for _ in range(3)]
            if what == "kill":
                leader.kill()
            elif what == "stop":
                leader.signal(signal.SIGSTOP)
            # It gives up by itself.
            lines += running.stdout.readlines()
            print(f"   {what}: done after {time.monotonic() - began:.1f} s", flush=True)
            words = [line.split(" ", 1) for line in lines]
            assert running.wait() == 0, lines
            assert [rest.split(" for ")[0] for _, rest in words[:2]] == ["scheduled"] * 2, words
            assert words[2] == [words[0][0], "paid, time-out cancelled\n"], words
            assert (words[3][0], words[3][1].split(" (")[0]) == (words[1][0], "was not paid in time and is closed"), words
            if what == "kill":
                leader.start()
                cluster.until_led()


def commands(binary):
    """The commands find who leads from any address, show the cluster, and move its leaders."""
    with _cluster(binary) as cluster:
        def run(*words, status=0, server=None):
            command = [binary, *words] + (["--server", server] if server else [])
            done = subprocess.run(command, env=_environment(cluster), capture_output=True, text=True, timeout=PATIENCE_S)
            assert status in (done.returncode, None), f"{words}: {done.returncode} {done.stdout} {done.stderr}"
            return done.stdout

        for node in cluster.nodes:
            for number in range(4):
                topic = f"t{number}"
                run("schedule", topic, "--in", "1h", "--id", node.name, "--body", "1", server=node.address)
                assert node.name in run("list", topic, server=node.address)
        topics = json.loads(run("topics", "--json", server=cluster.nodes[2].address))
        assert [(one["topic"], one["pending"]) for one in topics] == [(f"t{number}", 3) for number in range(4)], topics
        assert json.loads(run("stats", "--json"))["pending"] == 12
        shares = [json.loads(run("stats", "--json", "--shard", str(number)))["pending"] for number in range(cluster_nodes.SHARDS)]
        assert sum(shares) == 12 and max(shares) < 12, shares
        assert "pending 12 " in run("top", "--once") and "wheel 1" in run("wheel")

        def leaders():
            # For a moment nobody may lead a shard that is moved, and the status says so.
            nodes = json.loads(run("cluster", "--json", status=None))
            return {one["shard"]: (node["node"], one["epoch"]) for node in nodes for one in node["shards"] if one["role"] == "leading"}

        def until_led_by(shard, name):
            end = time.monotonic() + PATIENCE_S
            while leaders().get(shard, ("",))[0] != name:
                assert time.monotonic() < end, f"{name} does not lead shard {shard}: {leaders()}"

        run("cluster", "move", "1", "nobody", status=1)
        cluster_nodes.until("all nodes are known", lambda: all(
            len(one["nodes"]) == len(cluster.nodes) for node in cluster.nodes for one in node.shards().values()))
        name = next(node.name for node in cluster.nodes if node.name != leaders()[1][0])
        run("cluster", "move", "1", name)
        until_led_by(1, name)
        taker = next(node for node in cluster.nodes if node.name != name)
        run("cluster", "seize", "1", server=taker.address)
        until_led_by(1, taker.name)
        run("cluster", "move", "99", "a", status=1)

        # One is killed: the commands go on by any address that is left, and the table says who is missing.
        leader = _leader(cluster, "t0")
        leader.kill()
        other = next(node for node in cluster.nodes if node is not leader)
        run("schedule", "t0", "--in", "1h", "--id", "later", "--body", "1", server=other.address)
        table = run("cluster", status=1)
        assert f"{leader.address} does not answer" in table, table
        run("cancel", "t0", "later")
        swift = pathlib.Path(binary).resolve().parent / "OrderTimeouts"
        if swift.exists():
            done = subprocess.run([swift, other.address], capture_output=True, text=True, timeout=PATIENCE_S)
            assert done.returncode == 0 and done.stdout.count("is closed") == 2, done


def demo(binary):
    """The demo over a cluster keeps every promise."""
    environment = os.environ | {"NATS_SERVER": os.fspath(nats_servers.program())}
    done = subprocess.run([binary, "demo", "--cluster"], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    print("   " + next(line for line in done.stdout.splitlines() if line.startswith("after ")))


OWN_SERVERS = {"cluster-example": example, "cluster-commands": commands, "cluster-demo": demo}
