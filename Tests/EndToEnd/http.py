"""HTTP: `POST /v1` for the operations of the line protocol, health, and what is refused."""

import base64
import contextlib
import hashlib
import json
import re
import socket
import subprocess
import tempfile
import threading

from escapement_driver import equal, eventually, now_ms, run_command, unique
from http_client import HttpClient
from suite import case, own


def server(*flags):
    return own("--http", "127.0.0.1:0", *flags)


def connect(running, *headers):
    return HttpClient(running.address_for("HTTP"), headers)


@case
def an_operation_is_posted_and_its_reply_comes_back():
    """`POST /v1` takes a request object and answers with its reply object, the `rid` unchanged."""
    running = server()
    client, topic = connect(running), unique()
    equal(client.ok("ping", rid="a")["rid"], "a")
    reply = client.ok("schedule", topic=topic, id="m", delayMs=3_600_000, body={"a": 1}, rid=7)
    equal((reply["rid"], reply["outcome"], reply["id"]), (7, "scheduled", "m"))
    assert reply["deliverAtMs"] >= now_ms() + 3_500_000, reply
    # What came by HTTP is there for everybody.
    equal(running.client().ok("get", topic=topic, id="m")["body"], {"a": 1})
    equal(client.ok("cancel", topic=topic, id="m")["outcome"], "cancelled")


@case
def curl_needs_no_flags_but_the_data():
    """A body without a JSON content type is taken as well, as `curl -d` sends it; line breaks in it are white space."""
    running = server()
    client = connect(running)
    body = b'{"op":"schedule",\n "topic":"t",\r\n "delayMs":0, "body":1}\n'
    response = client.request("POST", "/v1", body, "Content-Type: application/x-www-form-urlencoded")
    equal((response.status, json.loads(response.body)["ok"]), (200, True))


@case
def every_code_has_its_status():
    """The status follows the code: 400, 404, 409, 413; the connection stays open wherever the next request can be found."""
    running = server("--max-line-bytes", 2048, "--max-body-bytes", 512)
    client, topic = connect(running), unique()
    client.ok("schedule", topic=topic, id="m", delayMs=3_600_000, body=1)
    equal(client.refused("frobnicate"), (400, "unknown_op"))
    equal(client.refused("schedule", topic=topic, body=1), (400, "bad_request"))
    equal(client.refused("ping", colour="red"), (400, "bad_request"))
    equal(client.refused("schedule", topic=topic, body=1, delayMs=1 << 60), (400, "delay_out_of_range"))
    equal(client.refused("schedule", topic=topic, body="x" * 600, delayMs=1), (400, "body_too_large"))
    equal(client.refused("ack", topic=topic, group="g", offset=1), (404, "not_found"))
    equal(client.refused("schedule", topic=topic, id="m", delayMs=1, body=1, ifExists="reject"), (409, "exists"))
    for body in (b"", b"not json", b"[]", b'{"op":"ping"} {"op":"ping"}', b'{"op":"ping","op":"ping"}', b"\xff"):
        response = client.request("POST", "/v1", body)
        equal((response.status, json.loads(response.body)["error"]), (400, "bad_json"), f"{body!r}")
    client.ok("ping")
    status, reply = client.op("schedule", topic=topic, body="x" * 3000, delayMs=1)
    equal((status, reply["error"]), (413, "line_too_long"))
    equal(client.response(), None, "after a body that was not read")


@case
def limits_are_told_with_429():
    """`limit_exceeded` is 429."""
    client = connect(server("--max-topics", 1))
    client.ok("createTopic", topic="a")
    equal(client.refused("createTopic", topic="b"), (429, "limit_exceeded"))


@case
def operations_that_push_are_refused():
    """Operations after which the server would send something by itself are refused with `bad_request`."""
    client = connect(server())
    client.ok("rabbitmq.queueDeclare", queue="q", durable=True)
    equal(client.refused("subscribe", topic="t", group="g"), (400, "bad_request"))
    equal(client.refused("rabbitmq.consume", queue="q"), (400, "bad_request"))
    equal(client.refused("rocketmq.subscribe", topic="t", consumerGroup="g"), (400, "bad_request"))
    equal(client.refused("rocketmq.registerProducer", producerGroup="p"), (400, "bad_request"))
    equal(client.refused("rabbitmq.publish", exchange="", routingKey="q", body="x", mandatory=True), (400, "bad_request"))


@case
def a_fetch_waits_for_its_message():
    """`fetch` with `waitMs` answers when there is a message, and with none when the time is over."""
    running = server()
    client, topic = connect(running), unique()
    equal(client.ok("fetch", topic=topic, group="g", waitMs=1)["messages"], [])
    publisher = connect(running)
    timer = threading.Timer(0.2, lambda: publisher.ok("publish", topic=topic, body="late"))
    timer.start()
    messages = client.ok("fetch", topic=topic, group="g", waitMs=30_000)["messages"]
    timer.join()
    equal([message["body"] for message in messages], ["late"])
    equal(client.ok("ack", topic=topic, group="g", offset=messages[0]["offset"])["acked"], 1)


@case
def a_fetched_message_outlives_its_connection():
    """What was fetched by HTTP stays with its fetcher until its ack wait is over, whatever becomes of the connection."""
    running = server()
    topic = unique()
    one = connect(running)
    one.ok("publish", topic=topic, body=1)
    message, = one.ok("fetch", topic=topic, group="g", ackWaitMs=60_000)["messages"]
    one.close()
    watcher = running.client()
    eventually(lambda: watcher.ok("stats")["connections"] == 1, what="the end of the connection")
    other = connect(running)
    equal(other.ok("fetch", topic=topic, group="g")["messages"], [], "for others meanwhile")
    equal(other.ok("ack", topic=topic, group="g", offset=message["offset"])["acked"], 1)
    # And it comes again when the wait is over.
    two = connect(running)
    two.ok("publish", topic=topic, body=2)
    equal(len(two.ok("fetch", topic=topic, group="g", ackWaitMs=50)["messages"]), 1)
    two.close()
    again, = other.ok("fetch", topic=topic, group="g", waitMs=20_000)["messages"]
    equal((again["body"], again["attempt"]), (2, 2))


@case
def requests_on_one_connection_are_answered_in_order():
    """Pipelined requests are answered one after the other; a fetch that waits holds up those behind it."""
    running = server()
    client, topic = connect(running), unique()
    bodies = [{"op": "ping", "rid": 1}, {"op": "fetch", "topic": topic, "group": "g", "waitMs": 100, "rid": 2},
              {"op": "schedule", "topic": topic, "delayMs": 60_000, "body": "x", "rid": 3}, {"op": "ping", "rid": 4}]
    for body in bodies:
        client.begin("POST", "/v1", json.dumps(body).encode())
    equal([json.loads(client.response().body)["rid"] for _ in bodies], [1, 2, 3, 4])


@case
def acks_none_is_answered_all_the_same():
    """HTTP answers every request: with `acks` `"none"`, at once and with `ok` alone."""
    client = connect(server())
    equal(client.ok("publish", topic="t", body=1, acks="none"), {"ok": True})
    equal(client.refused("publish", topic="/", body=1, acks="none"), (400, "bad_request"))


@case
def a_connection_is_closed_when_the_client_says_so():
    """`Connection: close`, and HTTP/1.0 without `keep-alive`, end the connection behind the response."""
    running = server()
    for request in (b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{\"op\":\"ping\"}",
                    b"POST /v1 HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"op\":\"ping\"}"):
        client = connect(running)
        client.send(request)
        response = client.response()
        equal((response.status, response.fields["connection"]), (200, "close"))
        equal(client.response(), None)


@case
def chunked_bodies_and_expectations_are_understood():
    """A chunked body is put together; `Expect: 100-continue` is answered before the body comes."""
    client = connect(server())
    client.send(b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"6\r\n{\"op\":\r\n7\r\n\"ping\"}\r\n0\r\n\r\n")
    equal(client.response().status, 200)
    client.send(b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n")
    equal(client.response().status, 100)
    client.send(b'{"op":"ping"}')
    equal(client.response().status, 200)


@case
def pages_of_others_are_refused():
    """A request with a foreign `Origin` is refused with 403, one for a foreign `Host` with 421; own names can be set."""
    running = server("--http-hosts", "timers.example")
    body = b'{"op":"ping"}'

    def status(*lines):
        client = connect(running)
        client.send("\r\n".join(["POST /v1 HTTP/1.1", *lines, "Content-Length: 13"]).encode() + b"\r\n\r\n" + body)
        return client.response().status

    equal(status("Host: localhost", "Origin: http://evil.example"), 403)
    equal(status("Host: localhost", "Origin: null"), 403)
    equal(status("Host: evil.example"), 421)
    equal(status("Host: evil.example", "Origin: http://evil.example"), 421)
    equal(status("Host: localhost:7612", "Origin: http://localhost:7612"), 200)
    equal(status("Host: 127.0.0.1:7612"), 200)
    equal(status("Host: timers.example", "Origin: https://timers.example"), 200)


@case
def smuggling_is_refused_and_the_connection_closed():
    """A request whose end two readers could see in different places is refused with 400, and nothing behind it is read."""
    running = server()
    for lines in ("Content-Length: 13\r\nTransfer-Encoding: chunked", "Content-Length: 13\r\nContent-Length: 13",
                  "Content-Length: 13, 13", "Content-Length: +13", "Transfer-Encoding: xchunked"):
        client = connect(running)
        client.send(f"POST /v1 HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n\r\n".encode() + b'{"op":"ping"}' * 2)
        response = client.response()
        equal((response.status, json.loads(response.body)["ok"]), (400, False), lines)
        equal(client.response(), None, lines)


@case
def other_paths_and_methods_are_refused():
    """Unknown paths are 404, other methods 405 with `Allow`; HEAD is GET without a body."""
    client = connect(server())
    equal(client.request("GET", "/nothing").status, 404)
    response = client.request("GET", "/v1")
    equal((response.status, response.fields["allow"]), (405, "POST"))
    response = client.request("DELETE", "/metrics")
    equal((response.status, response.fields["allow"]), (405, "GET, HEAD"))
    response = client.request("HEAD", "/healthz")
    equal((response.status, response.fields["content-length"]), (200, "3"))
    equal(client.request("GET", "/healthz").body, b"ok\n")


@case
def the_page_is_whole_and_may_do_little():
    """`GET /` is a page that needs nothing else; its policy lets only its own script and style run, and foreign hosts do not get it."""
    running = server()
    client = connect(running)
    response = client.request("GET", "/")
    equal((response.status, response.fields["content-type"]), (200, "text/html; charset=utf-8"))
    page, policy = response.body.decode(), response.fields["content-security-policy"]
    for start, end, rule in (("<style>", "</style>", "style-src"), ("<script>", "</script>", "script-src")):
        inside = page.split(start)[1].split(end)[0]
        equal(page.count(start), 1)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy, f"{rule} in {policy}"
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, policy
    # Nothing that a browser would have to fetch, or to refuse.
    assert not re.search(r"""\b(src|href)=(?!["'](data:|#))|url\(|@import|\bstyle=|\son\w+=""", page), "the page points somewhere"
    equal(client.request("HEAD", "/").fields["content-length"], str(len(response.body)))
    client.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    equal(client.response().status, 421)


@case
def health_is_told():
    """`/healthz` and `/readyz` answer 200 while the server works."""
    client = connect(server())
    for path in ("/healthz", "/readyz", "/readyz?verbose"):
        equal(client.request("GET", path).status, 200, path)


@case
def slow_heads_and_bodies_are_given_up_on():
    """A request that does not come in whole in time is answered with 408 and closed; an idle connection is closed."""
    running = server("--request-timeout-ms", 200, "--idle-timeout-ms", 300)
    for start in (b"POST /v1 HTTP/1.1\r\nHost: loc", b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"):
        client = connect(running)
        client.send(start)
        equal(client.response().status, 408)
        equal(client.response(), None)
    idle = connect(running)
    equal(idle.request("GET", "/healthz").status, 200)
    equal(idle.response(), None, "after resting")
    # A fetch that waits is not idle.
    busy = connect(running)
    equal(busy.ok("fetch", topic="t", group="g", waitMs=1000)["messages"], [])


@case
def a_token_is_shown_as_bearer():
    """With a token file, `Authorization: Bearer TOKEN` is needed for everything but `hello`, `ping` and health."""
    with tempfile.NamedTemporaryFile("w", suffix=".tokens") as file:
        file.write("open-sesame\n")
        file.flush()
        running = server("--token-file", file.name)
    client = connect(running)
    client.ok("ping")
    equal(client.refused("topics"), (401, "unauthenticated"))
    equal(client.request("GET", "/metrics").status, 401)
    equal(client.request("GET", "/readyz").status, 200)
    response = client.request("POST", "/v1", b'{"op":"topics"}', "Authorization: Bearer wrong")
    equal((response.status, response.fields["www-authenticate"]), (401, "Bearer"))
    equal(client.request("POST", "/v1", b'{"op":"ping"}', "Authorization: Basic b3Blbi1zZXNhbWU=").status, 401)
    equal(client.request("POST", "/v1", b'{"op":"topics"}', "Authorization: Bearer open-sesame").status, 200)
    # It counts for its request alone.
    equal(client.refused("topics"), (401, "unauthenticated"))
    client.ok("hello", protocol=1, token="open-sesame")
    equal(client.refused("topics"), (401, "unauthenticated"))


@case
def a_taken_port_is_left_out_or_refused():
    """A port that was asked for and is taken ends the start with exit status 2; `off` listens nowhere."""
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with tempfile.TemporaryDirectory() as folder:
            status, output = run_command("serve", "--data", folder, "--listen", "127.0.0.1:0", "--http", f"127.0.0.1:{port}")
        equal(status, 2, output)
        assert "HTTP" in output, output
    running = own("--http", "off")
    running.client().ok("ping")
    assert all("HTTP" not in line for line in running.lines), running.lines
    status, output = run_command("serve", "--http", "0.0.0.0:0", "--print-settings")
    assert status == 2 and "loopback" in output, output


@case
def what_was_answered_is_there_after_a_crash():
    """A reply by HTTP waits for the disk like any other: what it says holds after a crash."""
    running = server()
    client, topic = connect(running), unique()
    for number in range(20):
        client.begin("POST", "/v1", json.dumps(
            {"op": "schedule", "topic": topic, "id": str(number), "delayMs": 3_600_000, "body": number}).encode())
    equal([client.response().status for _ in range(20)], [200] * 20)
    running.restart()
    after = connect(running)
    equal(len(after.ok("list", topic=topic)["messages"]), 20)


@case
def curl_works():
    """The example of the README, with curl where it is installed."""
    running = server()
    host, port = running.address_for("HTTP")
    try:
        done = subprocess.run(
            ["curl", "-sS", f"http://{host}:{port}/v1", "-d", '{"op":"schedule","topic":"orders","delayMs":1000,"body":"hi"}'],
            stdout=subprocess.PIPE, timeout=30, check=True)
    except FileNotFoundError:
        return
    equal(json.loads(done.stdout)["outcome"], "scheduled")
