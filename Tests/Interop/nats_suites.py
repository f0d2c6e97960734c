"""Our client of NATS JetStream against real servers, through the shell of `Tests/StreamShell`.

Holds: a ledger outside the client: every entry that was called stored is read again, with its checksum, through every server.
Leaves to others: starting servers (nats_servers.py).
"""

import pathlib
import queue
import re
import signal
import subprocess
import threading
import time

import nats_servers

STREAM = "ESC-0"
BYTES_MAX = 1 << 30
WAIT_S = 60


class Shell:
    """One running shell."""

    def __init__(self, binary, address, replicas, *words, bytes_max=BYTES_MAX):
        program = pathlib.Path(binary).resolve().parent / "StreamShell"
        self.process = subprocess.Popen(
            [program, address, "0", str(replicas), str(bytes_max), *words], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.seen = []
        # Call → what became of it.
        self.outcomes = {}
        threading.Thread(target=lambda: [self.lines.put(line.rstrip("\n")) for line in self.process.stdout], daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait(self, pattern, seconds=WAIT_S):
        """The next line that begins so, as a match; lines before it are kept in `seen`."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line '{pattern}' within {seconds} s; the last ones: {self.seen[-5:]}") from None
            self.seen.append(line)
            if ended := re.match(r"(?:appended|read|last|truncated) (\d+) (.*)", line):
                self.outcomes[int(ended[1])] = ended[2]
            if found := re.match(pattern, line):
                return found

    def call(self, line):
        """The number of a call."""
        self.say(line)
        return int(self.wait(r"call (\d+)")[1])

    def outcome_of(self, number):
        """What became of a call."""
        while number not in self.outcomes:
            self.wait(rf"\w+ {number} ")
        return self.outcomes[number]

    def outcome(self, line):
        """A call and what became of it."""
        return self.outcome_of(self.call(line))

    def last(self):
        """The first and the last sequence; asked again until somebody answers."""
        while True:
            if found := re.match(r"last\(first: (\d+), last: (\d+)", self.outcome("last")):
                return int(found[1]), int(found[2])

    def read_all(self, first=1):
        """Everything from `first` on, as {sequence: (bytes, checksum)}; the end is what the leader says."""
        entries, end = {}, self.last()[1]
        while first <= end:
            outcome = self.outcome(f"read {first} 4000000")
            if not outcome.startswith("entries"):
                assert outcome in ("unknown", "nothingYet"), outcome
                continue
            for entry in outcome.split()[1:]:
                sequence, previous, count, checksum = map(int, entry.split(":"))
                assert sequence == first and previous == sequence - 1, entry
                entries[sequence] = (count, checksum)
                first += 1
        return entries

    def tail(self):
        """Entries of the tail that came so far: [(sequence, previous)]."""
        return [tuple(map(int, line.split()[1].split(":")[:2])) for line in self.seen if line.startswith("entry ")]


def one(binary):
    """One server: appends, a pipeline, an entry of somebody else in it, reads, truncation, a full stream, holes in the tail."""
    size = 20_000_000
    with nats_servers.servers(1) as servers, Shell(binary, servers.address(), 1, "create", bytes_max=size) as shell:
        shell.wait("connected")
        assert shell.outcome("append 0 100 1") == "stored(1)"
        assert shell.outcome("append 0 100 2") == "refused(last: Optional(1))"
        calls = [shell.call(f"append {last} 1000 {last}") for last in range(1, 5)]
        for place, number in enumerate(calls):
            assert shell.outcome_of(number) == f"stored({place + 2})"

        # A second writer takes place 6; of our pipeline the first is refused, and the rest is stored behind its entry.
        with Shell(binary, servers.address(), 1, bytes_max=size) as other:
            other.wait("connected")
            assert other.outcome("append 5 50 99") == "stored(6)"
            calls = [shell.call(f"append {last} 1000 {last}") for last in range(5, 9)]
            assert shell.outcome_of(calls[0]) == "refused(last: Optional(6))"
            for place, number in enumerate(calls[1:]):
                assert shell.outcome_of(number) == f"stored({place + 7})"
            other.wait("entry 9:8:1000:")
        shell.last()
        assert shell.tail() == [(number, number - 1) for number in range(1, 10)], shell.tail()
        assert shell.outcome("read 10 1000") == "nothingYet"
        assert len(shell.read_all()) == 9

        # What was stored while we were away is missing in the tail, which says so.
        with Shell(binary, servers.address(), 1, bytes_max=size) as other:
            other.wait("connected")
            servers.signal("n1", signal.SIGTERM)
            shell.wait("away")
            servers.processes.pop("n1").wait()
            servers.start()
            other.wait("connected")
            assert other.outcome("append 9 10 1") == "stored(10)"
            shell.wait("connected")
            assert other.outcome("append 10 10 1") == "stored(11)"
            shell.wait("entry 11:10:10:")
        assert len(shell.read_all(5)) == 7

        shell.say("load 300 100000 4")
        shell.wait(r"load (\d+) stored")
        first, last = shell.last()
        assert first == 1 and last < 311, (first, last)
        assert shell.outcome(f"append {last} 100000 1") == "full"
        # More than 8 MB, in steps, and never the last one.
        assert shell.outcome(f"truncate {last - 5}") == "done"
        assert shell.last() == (last - 5, last)
        assert shell.outcome("read 3 1000") == f"truncated(first: {last - 5})"
        assert shell.outcome(f"truncate {last + 100}") == "done"
        assert shell.last() == (last, last)
        assert shell.outcome(f"append {last} 262144 7") == f"stored({last + 1})"
        assert len(shell.read_all(last)) == 2
        assert not [line for line in shell.seen if line.startswith("problem")], shell.seen


def refused(binary):
    """What keeps a stream from being used is said in words: sync, rights, set-up, user, a stream made again."""
    def problem(servers, words, *options, **address):
        with Shell(binary, servers.address(**address), 1, *options) as shell:
            found = shell.wait(f"problem .*{words}")[0]
            print(f"   {found}")

    with nats_servers.servers(1, sync='"2m"') as servers:
        problem(servers, "sync_interval: always", "create")
        with Shell(binary, servers.address(), 1, "unsynced") as shell:
            shell.wait("connected")
    with nats_servers.servers(1, accounts=nats_servers.account(shows_sync=False)) as servers:
        problem(servers, "export the service", "create")
    with nats_servers.servers(1) as servers:
        problem(servers, "there is no stream")
        with Shell(binary, servers.address(), 1, "create", bytes_max=1_000_000) as shell:
            shell.wait("connected")
            problem(servers, "max_bytes is 1000000")
        problem(servers, "Authorization Violation", password="wrong")
    rights = {**nats_servers.RIGHTS, "publish": [one for one in nats_servers.RIGHTS["publish"] if one != "esc.>"]}
    with nats_servers.servers(1, accounts=nats_servers.account(rights)) as servers:
        with Shell(binary, servers.address(), 1, "create") as shell:
            shell.wait("connected")
            assert shell.outcome("append 0 10 1") == "unknown"
            assert any("Permissions Violation" in line and "esc.0" in line for line in shell.seen), shell.seen
    with nats_servers.servers(1) as servers, Shell(binary, servers.address(), 1, "create") as shell:
        shell.wait("connected")
        servers.signal("n1", signal.SIGKILL)
        shell.wait("away")
        nats_servers.shutil.rmtree(servers.folder / "n1")
        servers.start()
        print(f"   {shell.wait('problem .*is gone')[0]}")
        with Shell(binary, servers.address(), 1, "create") as other:
            other.wait("connected")
            print(f"   {shell.wait('problem .*made again')[0]}")
        assert sum(line.startswith("connected") for line in shell.seen) == 1, "another stream was taken for ours"


def tls(binary):
    """TLS with an authority of our own, user and password; a server whose certificate is not trusted; TLS that is demanded."""
    folder = nats_servers.tools.HOME / "nats-tls"
    authority, block = nats_servers.certificates(folder)
    other, _ = nats_servers.certificates(folder / "other")
    with nats_servers.servers(1, extra=block) as servers:
        with Shell(binary, servers.address(), 1, "create", f"ca={authority}") as shell:
            shell.wait("connected")
            assert shell.outcome("append 0 200000 1") == "stored(1)"
            shell.say("load 500 65536 4")
            print(f"   TLS, R1: {shell.wait(r'load 500 stored.*')[0]}")
            assert len(shell.read_all()) == 501
        with Shell(binary, servers.address(), 1, f"ca={other}") as shell:
            shell.wait("problem .*certificate")
        with Shell(binary, servers.address(), 1) as shell:
            shell.wait("problem .*requires TLS")
    with nats_servers.servers(1) as servers:
        with Shell(binary, servers.address().replace("nats:", "tls:"), 1, f"ca={authority}") as shell:
            shell.wait("problem .*TLS is demanded")


def _chain(shell, ledger, seconds, window=4):
    """Appends in a chain until the time is over, as a shard's leader does: after an outcome that is not `stored`, it waits for all,
    reads to the end and goes on from there. Gives how many were stored, and how many unknown ones turned out stored or not."""
    end = time.monotonic() + seconds
    counts = {"stored": 0, "unknown": 0, "unknown and stored": 0}
    last, seed = shell.last()[1], len(ledger) * 1000
    while time.monotonic() < end:
        in_flight = {}
        for place in range(window):
            seed += 1
            in_flight[shell.call(f"append {last + place} 2000 {seed}")] = (last + place + 1, seed)
        unknown = []
        for number, (sequence, its_seed) in in_flight.items():
            outcome = shell.outcome_of(number)
            if outcome == f"stored({sequence})":
                counts["stored"] += 1
                ledger[sequence] = its_seed
            else:
                counts["unknown"] += 1
                unknown.append((sequence, its_seed))
        if not unknown:
            last += window
            continue
        # Nothing is in flight: what is there stays.
        time.sleep(0.05)
        entries = shell.read_all(last + 1)
        for sequence, its_seed in unknown:
            if sequence in entries and entries[sequence] == _of_seed(2000, its_seed):
                counts["unknown and stored"] += 1
                ledger[sequence] = its_seed
        last = shell.last()[1]
    return counts


def _of_seed(count, seed):
    """The bytes that the shell makes of a seed, as (bytes, checksum)."""
    state, crc = seed, 0xFFFFFFFF
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        crc = _CRC[(crc ^ state >> 56) & 255] ^ crc >> 8
    return count, crc ^ 0xFFFFFFFF


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


def _check(binary, servers, ledger):
    """Everything in the ledger is there, through every server."""
    expected = {sequence: _of_seed(2000, seed) for sequence, seed in ledger.items()}
    for name in servers.names:
        with Shell(binary, servers.address(name), 3) as reader:
            reader.wait("connected")
            entries = reader.read_all()
            wrong = [sequence for sequence in expected if entries.get(sequence) != expected[sequence]]
            assert not wrong, f"through {name}: {len(wrong)} of {len(ledger)} stored entries are not there: {wrong[:5]}"


def three(binary):
    """Three servers: the stream's leader killed and stopped, the server of the client killed and about to end; nothing stored is lost."""
    with nats_servers.servers(3) as servers:
        with Shell(binary, servers.address(), 3, "create") as shell:
            shell.wait("connected")
            ledger = {}
            print(f"   quiet: {_chain(shell, ledger, 2)}")
            faults = [
                ("leader killed", signal.SIGKILL, lambda: servers.leader(STREAM)),
                ("leader stopped for 6 s", signal.SIGSTOP, lambda: servers.leader(STREAM)),
                ("our server about to end", signal.SIGUSR2, lambda: _server_of(shell, servers)),
                ("our server killed", signal.SIGKILL, lambda: _server_of(shell, servers)),
                ("leader killed again", signal.SIGKILL, lambda: servers.leader(STREAM)),
            ]
            for words, number, choose in faults:
                name = choose()
                timer = threading.Timer(0.5, servers.signal, (name, number))
                timer.start()
                counts = _chain(shell, ledger, 3)
                timer.join()
                if number == signal.SIGSTOP:
                    time.sleep(3)
                    servers.signal(name, signal.SIGCONT)
                elif number == signal.SIGUSR2:
                    # It would go on for two minutes; it has said what it had to say.
                    servers.signal(name, signal.SIGKILL)
                if number != signal.SIGSTOP:
                    servers.start(name)
                counts_later = _chain(shell, ledger, 8)
                print(f"   {words} ({name}): {counts}, then {counts_later}")
                assert counts_later["stored"] > 0, "nothing could be stored again"
                servers.wait_until_current(STREAM)
            _read_past_a_stopped_replica(shell, servers, ledger)
        _check(binary, servers, ledger)
        print(f"   {len(ledger)} stored, all of them there through each of three servers")
        with Shell(binary, servers.address(), 3) as cutter, Shell(binary, servers.address(), 3) as shell:
            cutter.wait("connected")
            shell.wait("connected")
            middle = max(ledger) // 2
            cut = cutter.call(f"truncate {middle}")
            counts = _chain(shell, {}, 2)
            assert cutter.outcome_of(cut) == "done", cutter.outcomes
            assert counts["unknown"] == 0, f"a truncation disturbed appends: {counts}"
            assert shell.outcome("read 1 1000") == f"truncated(first: {middle})"
            assert len(shell.read_all(middle)) == shell.last()[1] - middle + 1


def _read_past_a_stopped_replica(shell, servers, ledger):
    """A replica that does not answer makes reads slower, and nothing wrong."""
    busy = {servers.leader(STREAM), _server_of(shell, servers)}
    name = next(name for name in servers.names if name not in busy)
    servers.signal(name, signal.SIGSTOP)
    try:
        began = time.monotonic()
        entries = shell.read_all()
        print(f"   {len(entries)} read in {time.monotonic() - began:.1f} s with {name} stopped")
        wrong = [sequence for sequence, seed in ledger.items() if entries.get(sequence) != _of_seed(2000, seed)]
        assert not wrong, f"{len(wrong)} stored entries are not there: {wrong[:5]}"
    finally:
        servers.signal(name, signal.SIGCONT)


def _server_of(shell, servers):
    """The name of the server that the shell is connected to."""
    line = [line for line in shell.seen if line.startswith("connected ")][-1]
    port = int(line.split()[1].rsplit(":", 1)[1])
    return next(name for name in servers.names if servers.ports[name] == port)


def speed(binary):
    """How long appends take, and how many a second go through, with one server and with three, each writing before it answers."""
    for count in (1, 3):
        with nats_servers.servers(count) as servers, Shell(binary, servers.address(), count, "create", bytes_max=8 << 30) as shell:
            shell.wait("connected")
            for size, number in ((250, 4000), (4096, 3000), (65536, 1000), (131072, 600)):
                for window in (1, 4):
                    shell.say(f"load {number} {size} {window}")
                    line = shell.wait(r"load \d+ stored, 0 not: (.*)", 300)[1]
                    print(f"   R{count}, {size} bytes, {window} in flight: {line}", flush=True)


OWN_SERVERS = {"nats-one": one, "nats-refused": refused, "nats-tls": tls, "nats-three": three}
# Figures and no judgement: run when they are named.
MEASUREMENTS = {"nats-speed": speed}
