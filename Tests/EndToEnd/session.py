"""The Session section: `hello`, `ping` and the token file."""

import os
import tempfile

from escapement_driver import ConnectionClosed, equal, now_ms, unique
from suite import case, connect, own

# Service time and this clock may be apart by what is slewed rather than followed (`clockStepMs`).
CLOCK_SLACK_MS = 1_000


def check_now(reply, before_ms):
    assert before_ms - CLOCK_SLACK_MS <= reply["nowMs"] <= now_ms() + CLOCK_SLACK_MS, f"nowMs is far off: {reply!r}"


@case
def hello_tells_about_the_server():
    """`hello`: `server` (name/version), `protocol`, `tickMs`, `wheelSize`, `maxLineBytes`, `maxDelayMs`, `nowMs`."""
    with connect() as client:
        before = now_ms()
        reply = client.ok("hello", protocol=1, client="end-to-end")
        assert "/" in reply["server"], f"server is name/version: {reply!r}"
        equal(reply["protocol"], 1, "protocol")
        equal(reply["maxLineBytes"], 1 << 20, "default maxLineBytes")
        assert reply["maxDelayMs"] >= 3650 * 86_400_000, f"default maxDelayMs is 10 years: {reply!r}"
        for field in ("tickMs", "wheelSize"):
            assert type(reply[field]) is int and reply[field] > 0, f"{field} is a positive integer: {reply!r}"
        check_now(reply, before)


@case
def hello_shows_the_settings_of_the_server():
    """`hello` shows `tickMs`, `wheelSize`, `maxLineBytes` and `maxDelayMs` as they were set."""
    server = own("--tick-ms", 2, "--wheel-size", 32, "--max-line-bytes", 65_536, "--max-delay-ms", 5_000_000)
    reply = server.client().ok("hello", protocol=1)
    equal([reply[field] for field in ("tickMs", "wheelSize", "maxLineBytes", "maxDelayMs")], [2, 32, 65_536, 5_000_000])


@case
def hello_is_optional_without_a_token_file():
    """`hello` is optional when the server has no token file."""
    with connect() as client:
        client.ok("publish", topic=unique(), body=1)
        client.ok("hello", protocol=1)
        client.ok("ping")


@case
def another_protocol_version_is_refused():
    """`protocol` (1): another version is refused, and the connection stays open."""
    with connect() as client:
        for version in (0, 2, -1):
            client.refused(("bad_request", "precondition_failed"), "hello", protocol=version)
        client.ok("hello", protocol=1)


@case
def ping_tells_the_time():
    """`ping`: `nowMs`, in Unix milliseconds, never going back."""
    with connect() as client:
        before, last = now_ms(), 0
        for _ in range(200):
            reply = client.ok("ping")
            check_now(reply, before)
            assert reply["nowMs"] >= last, "service time went back"
            last = reply["nowMs"]


def token_server(token):
    handle, path = tempfile.mkstemp(prefix="escapement-token-")
    with os.fdopen(handle, "w") as file:
        file.write(token + "\n")
    os.chmod(path, 0o600)
    try:
        return own("--token-file", path)
    finally:
        # The server has read it by now: it listens.
        os.unlink(path)


@case
def with_a_token_file_only_hello_and_ping_come_before_the_token():
    """With a token file, only `hello` and `ping` are allowed before a good token."""
    client = token_server("correct-horse-battery").client()
    topic = unique()
    client.ok("ping")
    requests = (
        ("publish", {"topic": topic, "body": 1}), ("schedule", {"topic": topic, "body": 1, "delayMs": 1}), ("topics", {}),
        ("subscribe", {"topic": topic}), ("get", {"topic": topic, "id": "a"}), ("stats", {}), ("wheel", {}),
        ("fetch", {"topic": topic, "group": "g"}), ("deleteTopic", {"topic": topic}),
        ("rocketmq.levels", {}), ("rabbitmq.queueDeclare", {"queue": "q"}),
    )
    for op, fields in requests:
        client.refused("unauthenticated", op, **fields)
    client.ok("ping")
    client.ok("hello", protocol=1, token="correct-horse-battery")
    equal(client.ok("topics")["topics"], [], "topics of a server that refused all requests so far")
    client.ok("publish", topic=topic, body=1)


@case
def a_wrong_token_opens_nothing():
    """A wrong token is refused as `unauthenticated`, and nothing is allowed after it."""
    server = token_server("correct-horse-battery")
    for token in ("", "wrong", "correct-horse-batter", "correct-horse-battery ", "correct-horse-battery\n"):
        client = server.client()
        client.refused("unauthenticated", "hello", protocol=1, token=token)
        try:
            client.refused("unauthenticated", "topics")
        except ConnectionClosed:
            pass  # Closing after a wrong token opens nothing either.
    client = server.client()
    client.call("hello", protocol=1)
    client.refused("unauthenticated", "topics")


@case
def a_token_counts_for_its_connection_only():
    """A good token opens the connection it was shown on, and no other."""
    server = token_server("open-sesame")
    first, second = server.client(), server.client()
    first.ok("hello", protocol=1, token="open-sesame")
    first.ok("topics")
    second.refused("unauthenticated", "topics")
