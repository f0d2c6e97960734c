"""The program itself: signals, exit statuses, help, and its small commands against a running server."""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios

from escapement_driver import binary, equal, eventually, run_command
from suite import case, own

COMMANDS = ("serve", "access", "schedule", "publish", "cancel", "reschedule", "get", "list", "listen", "redrive", "topics", "queues",
            "exchanges", "stats", "top", "wheel", "snapshot", "check", "demo")


@case
def sigterm_and_sigint_stop_cleanly():
    """SIGTERM and SIGINT stop cleanly with exit 0, with clients connected, subscribed and waiting."""
    server = own()
    for number in (signal.SIGTERM, signal.SIGINT):
        idle, subscribed, waiting = server.client(), server.client(), server.client()
        subscribed.ok("subscribe", topic="t", group="g")
        waiting.send("fetch", topic="other", group="g", waitMs=60_000)
        idle.send_raw(b'{"op":"pi')
        subscribed.ok("publish", topic="t", body=1)
        server.stop(number)
        for client in (idle, subscribed):
            while client.poll(30):
                pass
            assert client.ended, "a stopped server closes its connections"
        server.start()
        server.client().ok("ping")


@case
def a_stop_right_after_the_start_is_clean():
    """SIGTERM stops cleanly, on an empty folder and again on the same one."""
    server = own()
    for _ in range(3):
        server.stop()
        server.start()


@case
def an_acknowledged_request_before_the_stop_is_kept():
    """SIGTERM: what was answered is kept; the rest is answered, refused or cut off, never half done."""
    server = own()
    client = server.client()
    client.send_many(("publish", {"topic": "t", "body": n, "rid": n}) for n in range(3_000))
    acknowledged = [client.recv()["offset"] for _ in range(10)]
    server.stop()
    while line := client.poll(30):
        acknowledged += [line["offset"]] if line["ok"] else []
    server.start()
    kept = [row for row in server.client().ok("topics")["topics"] if row["topic"] == "t"][0]["nextOffset"]
    assert kept >= len(acknowledged) and acknowledged == list(range(len(acknowledged))), f"{kept} of {len(acknowledged)} kept"


@case
def help_is_everywhere():
    """`--help` everywhere exits 0 and says how to use it."""
    for arguments in ((), *((command,) for command in COMMANDS)):
        status, output = run_command(*arguments, "--help")
        equal(status, 0, f"exit status of `escapement {' '.join(arguments)} --help`: {output}")
        assert "escapement" in output.lower() and len(output.splitlines()) >= 2, f"the help of {arguments}: {output!r}"
    _, output = run_command("--help")
    for command in COMMANDS:
        assert command in output, f"the help names {command}: {output}"


@case
def bad_usage_exits_2():
    """Bad usage of the command line exits 2 with a message."""
    wrong = (
        (), ("frobnicate",), ("--frobnicate",), ("serve", "--frobnicate"), ("serve", "--tick-ms"), ("serve", "--tick-ms", "abc"),
        ("serve", "--tick-ms", "0"), ("serve", "--fsync", "sometimes"), ("serve", "--listen", "nonsense"),
        ("serve", "--delay-levels", "1s 5x"), ("serve", "stray"), ("check",), ("schedule", "--frobnicate"), ("get", "--frobnicate"),
    )
    for arguments in wrong:
        status, output = run_command(*arguments)
        equal(status, 2, f"exit status of `escapement {' '.join(arguments)}`: {output}")
        assert output.strip(), f"`escapement {' '.join(arguments)}` says nothing"
    status, output = run_command("serve", "--frobnicate")
    assert "--frobnicate" in output, f"the message names the flag: {output}"


@case
def a_port_in_use_is_a_message_and_a_failure():
    """A server that cannot listen says so and exits with a failure."""
    server = own()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = run_command("serve", "--data", f"{server.folder}/other", "--listen", f"127.0.0.1:{port}", "--http", "off")
    assert status > 0 and str(port) in output, f"exit status {status}, output {output!r}"


@case
def top_is_redrawn_in_place_at_a_terminal():
    """`escapement top` at a terminal draws the wheels on a screen of its own and gives the old one back; elsewhere it is plain text."""
    server = own()
    server.client().ok("schedule", topic="t", delayMs=3_600_000, body=1)
    address = f"{server.host}:{server.port}"
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 140, 0, 0))
    top = subprocess.Popen([binary(), "top", "--server", address], stdin=subprocess.DEVNULL, stdout=follower, stderr=subprocess.PIPE)
    os.close(follower)
    shown = b""

    def read():
        nonlocal shown
        if select.select([leader], [], [], 0.1)[0]:
            shown += os.read(leader, 1 << 16)
        return shown

    try:
        eventually(lambda: read().count(b"\x1b[H") >= 2, what="the second drawing")
        top.send_signal(signal.SIGINT)
        eventually(lambda: read().endswith(b"\x1b[?25h\x1b[?1049l"), what="the old screen")
        equal(top.wait(30), 0)
    finally:
        top.kill()
        top.wait()
        top.stderr.close()
        os.close(leader)
    text = shown.decode("utf-8")
    assert text.startswith("\x1b[?1049h\x1b[?25l"), repr(text[:40])
    assert any("\u2801" <= letter <= "\u28ff" for letter in text), "no wheel is drawn"
    screen = text.split("\x1b[H")[1].split("\x1b[J")[0].replace("\x1b[K", "").split("\r\n")
    assert len(screen) < 30 and all(len(line) <= 140 for line in screen), screen
    status, output = run_command("top", "--once", "--server", address)
    assert status == 0 and "\x1b" not in output and "wheel 1" in output and "pending 1 " in output, output


@case
def the_python_example_works():
    """The example in Python does what it says, with the standard library alone."""
    server = own()
    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Examples/python/order_timeouts.py")
    environment = {**os.environ, "ESCAPEMENT_SERVER": f"{server.host}:{server.port}"}
    done = subprocess.run([sys.executable, "-I", example], env=environment, capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit status: {done.stderr}")
    words = [line.split(" ", 1) for line in done.stdout.splitlines()]
    equal([rest.split(" for ")[0] for _, rest in words[:2]], ["scheduled"] * 2, "the orders")
    equal(words[2], [words[0][0], "paid, time-out cancelled"], "the payment")
    equal((words[3][0], words[3][1].split(" (")[0]), (words[1][0], "was not paid in time and is closed"), "the time-out")
