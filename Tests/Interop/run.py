#!/usr/bin/env python3
"""Runs real clients against the built server: `run.py --binary .build/release/escapement [SUITE…]`.

Each suite gets a server of its own. `--port N` uses a server that runs already, of whatever make, to see whether a suite itself
is sound. Ends with status 1 when a suite fails.
"""

import argparse
import subprocess
import sys
import time

import amqp_suites
import cluster_clients
import cluster_copies
import cluster_nodes
import cluster_suites
import cluster_wires
import nats_suites
import page_suites
import rocketmq_suites
import server

HTTP = ["--amqp", "127.0.0.1:0", "--http", "127.0.0.1:0"]
# Suites by what the server is started with, and the wire whose port they get.
WIRES = [
    ("amqp", ["--amqp", "127.0.0.1:0"], amqp_suites.SUITES),
    ("rocketmq", rocketmq_suites.FLAGS, rocketmq_suites.SUITES),
    ("http", HTTP, page_suites.SUITES),
    ("http", HTTP + ["--token-file", server.token_file(page_suites.TOKEN)], page_suites.GUARDED_SUITES),
]

# What takes long, or judges nothing: run by name alone.
MEASUREMENTS = nats_suites.MEASUREMENTS | cluster_nodes.MEASUREMENTS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the program under test")
    parser.add_argument("--port", type=int, help="a server that runs already")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="default: all that judge something")
    options = parser.parse_args()
    known = {name: (wire, flags, suite) for wire, flags, suites in WIRES for name, suite in suites.items()}
    if not options.port:
        # Suites that start and kill servers themselves.
        own = rocketmq_suites.OWN_SERVERS | nats_suites.OWN_SERVERS | cluster_suites.OWN_SERVERS
        own |= cluster_nodes.OWN_SERVERS | cluster_copies.OWN_SERVERS | cluster_clients.OWN_SERVERS | cluster_wires.OWN_SERVERS | MEASUREMENTS
        known |= {name: (None, None, suite) for name, suite in own.items()}
    unknown = set(options.suites) - set(known)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    failed = []
    for name in options.suites or [name for name in known if name not in MEASUREMENTS]:
        wire, flags, suite = known[name]
        print(f"== {name}: {suite.__doc__.splitlines()[0]}", flush=True)
        began = time.monotonic()
        try:
            if options.port:
                suite(options.port)
            elif wire is None:
                suite(options.binary)
            else:
                with server.escapement(options.binary, *flags) as ports:
                    suite(ports[wire])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, AssertionError) as error:
            print(f"FAIL  {name}: {error}", flush=True)
            failed.append(name)
        else:
            print(f"ok    {name} ({time.monotonic() - began:.1f} s)", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
