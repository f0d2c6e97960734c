#!/usr/bin/env python3
"""Plants known bugs one after the other and sees whether a test notices: a test suite is worth what it catches.

A mutation is a file beside this one:

    What would break for users, in a sentence.
    in: Sources/Journal          a module's folder; lines may move between its files
    tests: JournalTests          unit or simulation tests that catch it (a filter of `swift test`)
    ---
    the text to find, exactly once
    ---
    what is put in its place

Each is put into a copy of the sources that is built again and again (.build/mutations), and the tests that it names run
until the first failure. A test that hangs is a failure, too.

Exit status 1 when a mutation survives, does not compile, names no tests, or has a text that is not there exactly once.
"""

import argparse
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
COPY = ROOT / ".build" / "mutations"
# What the build of the tests needs.
COPIED = ("Package.swift", "Sources", "Tests", "Benchmarks", "Examples")
# The tests of one mutation take half a minute at most; more than this is a hang.
TEST_SECONDS = 180
BUILD_SECONDS = 1200


class Mutation:
    def __init__(self, path):
        self.name = path.stem
        head, self.find, self.replacement = path.read_text(encoding="utf-8").split("\n---\n")
        self.replacement = self.replacement.rstrip("\n")
        lines = head.split("\n")
        fields = dict(line.split(": ", 1) for line in lines if re.match(r"(in|tests): ", line))
        self.what = " ".join(line for line in lines if not re.match(r"(in|tests): ", line))
        self.folder, self.tests = fields["in"], fields.get("tests")

    def places(self, root):
        """The files that have the text, one entry for each time."""
        found = []
        for path in sorted((root / self.folder).rglob("*.swift")):
            found += [path] * path.read_text(encoding="utf-8").count(self.find)
        return found

    def problem(self):
        places = self.places(ROOT)
        if self.find == self.replacement:
            return "it changes nothing"
        if not self.tests:
            return "it names no tests that catch it"
        return None if len(places) == 1 else f"its text is {len(places)} times in {self.folder}, not once"


def mutations():
    """By module: neighbours then share most of a build."""
    return sorted((Mutation(path) for path in HERE.glob("*.txt")), key=lambda one: (one.folder, one.name))


def copy_sources():
    """Makes the copy the same as the sources, leaving alone what is equal, so that builds stay incremental."""
    wanted = set()
    for name in COPIED:
        top = ROOT / name
        for source in [top] if top.is_file() else sorted(top.rglob("*")):
            if not source.is_file() or "__pycache__" in source.parts:
                continue
            relative = source.relative_to(ROOT)
            wanted.add(relative)
            target = COPY / relative
            content = source.read_bytes()
            if not target.is_file() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    for name in COPIED:
        for target in sorted((COPY / name).rglob("*")):
            if target.is_file() and target.relative_to(COPY) not in wanted:
                target.unlink()


def run(arguments, seconds, until=None):
    """Runs a command in the copy; gives (status, output, whether it was stopped at a line that `until` takes)."""
    process = subprocess.Popen(
        arguments, cwd=COPY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, text=True, errors="replace")
    is_late = threading.Event()

    def end_late():
        is_late.set()
        stop(process)

    timer = threading.Timer(seconds, end_late)
    timer.start()
    lines, is_stopped = [], False
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if until and until(lines[-1]):
                is_stopped = True
                break
        if not is_stopped:
            process.wait()
    finally:
        timer.cancel()
        stop(process)
    return ("late" if is_late.is_set() else process.returncode), lines, is_stopped


def stop(process):
    """Ends the process and those that it started: they are one session of their own, in several process groups."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (command) state parent group session …
            session = int(stat.read_text().rpartition(")")[2].split()[3])
            if session == process.pid:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except (OSError, ValueError):
            pass  # it has ended meanwhile
    process.wait()


FAILURE = re.compile(r"^✘ Test (.+?) recorded an issue|^\S*: error: .*?(\w+\.\w+) : |(Fatal error: .*|Precondition failed.*)")


def failing_test(tests):
    """Runs tests until one fails; gives its name, or nil when all pass."""
    command = ["swift", "test", "--skip-build", "--filter", tests]
    status, lines, is_stopped = run(command, TEST_SECONDS, until=lambda line: bool(FAILURE.search(line)))
    if is_stopped:
        match = FAILURE.search(lines[-1])
        if match.group(3):
            return match.group(3)[:100]
        return re.sub(r" with \d+ argument.*", "", match.group(1) or match.group(2)).strip('"')
    if status == "late":
        return f"the time limit of {TEST_SECONDS} s"
    return None if status == 0 else f"exit status {status}: {lines[-1] if lines else ''}"[:100]


def build():
    status, lines, _ = run(["swift", "build", "--build-tests"], BUILD_SECONDS)
    return None if status == 0 else [line for line in lines if "error:" in line][:3] or lines[-3:]


def plant(mutation):
    """Puts the mutation into the copy, gives what caught it (nil: nothing did), and takes it out again."""
    path, = mutation.places(COPY)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutation.find, mutation.replacement), encoding="utf-8")
    try:
        errors = build()
        if errors:
            return "does not compile: " + " ".join(errors)
        return failing_test(mutation.tests)
    finally:
        path.write_text(whole, encoding="utf-8")


def rotated(everything, count):
    """`count` of them that depend on the commit, so that by and by all are tried; on the day where there is no commit."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    key = head.stdout.strip() or time.strftime("%Y-%m-%d")
    return sorted(everything, key=lambda one: hashlib.sha256(f"{key} {one.name}".encode()).digest())[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--check", action="store_true", help="only see whether each text is there exactly once")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="these; a part of the name is enough")
    parser.add_argument("--rotate", metavar="N", type=int, help="N of them, others with every commit")
    parser.add_argument("--seconds", metavar="N", type=int, help="begin none but the first after this time")
    options = parser.parse_args()

    chosen = mutations()
    if options.only:
        chosen = [one for one in chosen if any(part in one.name for part in options.only)]
    if options.rotate:
        chosen = rotated(chosen, options.rotate)
    if options.list:
        for one in chosen:
            print(f"{one.name}: {one.what}")
        return 0
    problems = [f"{one.name}: {problem}" for one in chosen if (problem := one.problem())]
    if problems or options.check or not chosen:
        print("\n".join(problems) or f"{len(chosen)} mutations, each with its place")
        return 1 if problems or not chosen else 0

    # A run that is ended from outside ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started = time.monotonic()
    copy_sources()
    if errors := build():
        print("the sources do not build without a mutation: " + " ".join(errors))
        return 1
    survivors = []
    print(f"{'mutation':44} {'seconds':>7}  caught by", flush=True)
    for place, one in enumerate(chosen):
        if options.seconds and place > 0 and time.monotonic() - started > options.seconds:
            print("no time for the rest")
            break
        begun = time.monotonic()
        caught = plant(one)
        print(f"{one.name:44} {time.monotonic() - begun:7.0f}  {caught or 'NOTHING'}", flush=True)
        if caught is None or caught.startswith("does not compile"):
            survivors.append(one)
    for one in survivors:
        print(f"survived: {one.name}: {one.what}")
    return 1 if survivors else 0


sys.exit(main())
