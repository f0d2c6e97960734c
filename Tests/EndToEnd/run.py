"""Runs the end-to-end cases against a built `escapement`.

    python3 Tests/EndToEnd/run.py --binary .build/debug/escapement [pattern…]

A pattern is a file (`framing`), a case (`framing.blank_lines_are_ignored`) or a shell pattern. Ends with the line
`N passed, N failed` and exit status 0 when none failed. Cases of one file share a server unless they need flags of
their own.
"""

import argparse
import fnmatch
import importlib
import os
import pathlib
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import escapement_driver as driver  # noqa: E402
import suite  # noqa: E402


class CaseTimeout(Exception):
    """A case ran longer than any case may."""


def on_alarm(_signal, _frame):
    raise CaseTimeout("the case did not end in time")


def files():
    """The Python files beside this one, by name: a new file of cases is found by being there."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run")


def matches(name, patterns):
    return not patterns or any(
        name == pattern or name.startswith(pattern + ".") or fnmatch.fnmatch(name, pattern) for pattern in patterns)


def run_case(name, entry):
    """Runs one case; gives the text of its failure or None."""
    signal.alarm(entry.limit_s)
    try:
        entry.run()
        return None
    except Exception:
        text = traceback.format_exc()
        for server in driver.running_servers():
            text += f"\n--- stderr of the server {' '.join(server.flags)}\n{server.errors()}"
        return text
    finally:
        signal.alarm(0)
        suite.close_case_servers()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("ESCAPEMENT_BIN"), help="the program under test")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    parser.add_argument("--seed", type=int, help="seed of the random cases (default: a fresh one)")
    parser.add_argument("--cycles", type=int, help="crashes of the ledger case (default 5)")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    if options.seed is not None:
        os.environ["ESCAPEMENT_E2E_SEED"] = str(options.seed)
    if options.cycles is not None:
        os.environ["ESCAPEMENT_LEDGER_CYCLES"] = str(options.cycles)
    chosen = []
    for file in files():
        importlib.import_module(file)
        chosen += [(f"{file}.{name}", entry) for name, entry in suite.cases(file) if matches(f"{file}.{name}", options.patterns)]
    if options.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    if not options.binary or not os.access(options.binary, os.X_OK):
        parser.error(f"--binary PATH must name the built program, got {options.binary!r}")
    if not chosen:
        parser.error(f"no case matches {' '.join(options.patterns)!r}; --list shows them")
    driver.use_binary(options.binary)
    # A test process may hand down blocked or ignored signals; the server must not inherit them.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    passed, failed, file = 0, [], None
    for name, entry in chosen:
        if name.split(".")[0] != file:
            suite.close_shared_server()
            file = name.split(".")[0]
        began = time.monotonic()
        problem = run_case(name, entry)
        took = f"{time.monotonic() - began:.2f} s"
        if problem is None:
            passed += 1
            print(f"ok    {name} ({took})", flush=True)
        else:
            failed.append(name)
            print(f"FAIL  {name} ({took}): {entry.sentence}\n{problem}\nreplay: python3 {sys.argv[0]} "
                  f"--binary {options.binary} {name}", flush=True)
            suite.close_shared_server()
    suite.close_shared_server()
    for name in failed:
        print(f"failed: {name}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
