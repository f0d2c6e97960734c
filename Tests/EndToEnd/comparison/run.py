"""Compares our RabbitMQ front end with a real RabbitMQ, when one is installed.

    python3 Tests/EndToEnd/comparison/run.py --binary .build/release/escapement [pattern…]

Runs each scenario on both, side by side, and prints where their traces differ. Differences that are listed as intended
are told apart; one that is not listed, or a listed one that shows no more, makes the exit status 1. Without RabbitMQ
it says so and ends with 0.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import drivers  # noqa: E402
import escapement_driver  # noqa: E402
import intended  # noqa: E402
import rabbitmq_process  # noqa: E402
import scenarios_consuming  # noqa: E402, F401
import scenarios_deaths  # noqa: E402, F401
import scenarios_declaring  # noqa: E402, F401
import scenarios_expiry  # noqa: E402, F401
import scenarios_lengths  # noqa: E402, F401
import scenarios_restart  # noqa: E402, F401
import scenarios_routing  # noqa: E402, F401
import scenarios_walks  # noqa: E402
import stage  # noqa: E402

ABSENT = "nothing"


def differences(ours, theirs):
    """[label, our value, their value] for each label under which the traces differ."""
    ours, theirs = dict(ours), dict(theirs)
    return [(label, ours.get(label, ABSENT), theirs.get(label, ABSENT)) for label in {**theirs, **ours}
            if ours.get(label, ABSENT) != theirs.get(label, ABSENT)]


def compare(name, servers):
    """Runs a scenario on both servers; gives its differences."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ours, theirs = (pool.submit(stage.run, name, server) for server in servers)
        found = differences(ours.result(), theirs.result())
        # What follows the first difference of a walk follows from it.
        return found[:1] if name.startswith("walk_") else found


def report(found):
    """Prints the differences of one scenario; gives how many were intended and how many were not."""
    counts = [0, 0]
    for name, label, ours, theirs in found:
        entry = intended.find(name, label, ours, theirs)
        counts[entry is None] += 1
        print(f"{'DIFFERENT' if entry is None else 'intended '} {name}: {label}\n    RabbitMQ:   {theirs!r}\n"
              f"    escapement: {ours!r}" + (f"\n    because:    {entry.reason}" if entry else ""), flush=True)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="our program")
    parser.add_argument("--quiet", action="store_true", help="do not print intended differences")
    parser.add_argument("patterns", nargs="*", help="names of scenarios, or shell patterns for them")
    parser.add_argument("--seed", type=int, nargs="*", default=scenarios_walks.SEEDS, help="seeds of the random walks")
    options = parser.parse_args()
    scenarios_walks.register(options.seed)
    script = rabbitmq_process.find()
    if script is None:
        print("no RabbitMQ is installed: nothing to compare with")
        return 0
    if not os.access(options.binary, os.X_OK):
        parser.error(f"--binary PATH must name the built program, got {options.binary!r}")
    chosen = [name for name in stage.scenarios()
              if not options.patterns or any(fnmatch.fnmatch(name, pattern) for pattern in options.patterns)]
    if not chosen:
        parser.error(f"no scenario matches {' '.join(options.patterns)!r}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    escapement_driver.use_binary(options.binary)
    began, found = time.monotonic(), []
    with rabbitmq_process.RabbitMQProcess(script) as theirs, escapement_driver.Server() as ours:
        servers = drivers.OurServer(ours), drivers.TheirServer(theirs)
        first = servers[1].session()
        print(f"RabbitMQ {first.version}, {len(chosen)} scenarios", flush=True)
        first.close()
        for name in chosen:
            found += [(name, *difference) for difference in compare(name, servers)]
    meant, unmeant = report([each for each in found if not options.quiet or not intended.find(*each)])
    stale = intended.unused(chosen, found)
    for entry in stale:
        print(f"STALE     {entry.scenario}: {entry.label} is listed as intended and shows no difference")
    print(f"{len(chosen)} scenarios, {len(found)} differences: {len(found) - unmeant} intended, {unmeant} not; "
          f"{len(stale)} listed ones show no more; {time.monotonic() - began:.0f} s")
    return 1 if unmeant or stale else 0


if __name__ == "__main__":
    sys.exit(main())
