"""The register of cases and the servers they run on.

Holds: a case belongs to the file it is written in and its docstring is the sentence of the contract that it checks;
`shared()` is one server for the cases of a file, `own(flags)` one for a single case.
Leaves to others: running and reporting (run.py).
"""

import collections
import os
import random
import time

import escapement_driver as driver

LIMIT_S = 180

Case = collections.namedtuple("Case", "run sentence limit_s")
_cases = collections.defaultdict(list)
_shared = []
_own = []


def case(function=None, *, limit_s=LIMIT_S):
    """Registers a function as a case of its file."""
    if function is None:
        return lambda actual: case(actual, limit_s=limit_s)
    assert function.__doc__, f"{function.__name__} has no sentence"
    sentence = " ".join(function.__doc__.split())
    _cases[function.__module__].append((function.__name__, Case(function, sentence, limit_s)))
    return function


def cases(file):
    return _cases[file]


def shared():
    """The server that the cases of the file at hand share; started anew if a case has ended it."""
    if _shared and not _shared[0].alive():
        close_shared_server()
        raise AssertionError("the shared server died")
    if not _shared:
        _shared.append(driver.Server())
    return _shared[0]


def own(*flags, **options):
    """A server with flags of its own, closed when the case is over."""
    _own.append(driver.Server(*flags, **options))
    return _own[-1]


def connect():
    """A client of the shared server."""
    return shared().client()


def close_shared_server():
    while _shared:
        _shared.pop().close()


def close_case_servers():
    while _own:
        _own.pop().close()


def seed():
    """The seed of a random case; printed, so that a failure can be replayed with --seed."""
    value = int(os.environ.get("ESCAPEMENT_E2E_SEED") or time.time_ns() % 1_000_000_007)
    print(f"seed {value} (replay with --seed {value})", flush=True)
    return value


def randomness():
    return random.Random(seed())
