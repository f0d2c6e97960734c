"""AMQP: how a connection opens and closes, who may come in, and what is not our protocol."""

import re
import socket
import time

import amqp_wire as wire
from amqp_driver import CAPABILITIES, HEADER, Ended, Peer, frame, method, publishing
from escapement_driver import equal, run_command
from suite import case, own, shared


def peer(**options):
    return Peer(shared().amqp_port, **options)


@case
def a_connection_opens():
    """A connection opens with the properties, capabilities and limits that clients look at."""
    with peer() as p:
        properties = p.start["properties"]
        equal((p.start["major"], p.start["minor"]), (0, 9), "the version")
        equal(p.start["mechanisms"].split(), ["PLAIN", "AMQPLAIN"], "mechanisms")
        equal(p.start["locales"], "en_US", "locales")
        equal(properties["capabilities"], {name: True for name in CAPABILITIES}, "capabilities")
        assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"]), properties
        for name in ("product", "platform", "copyright", "information", "cluster_name"):
            assert properties[name] and isinstance(properties[name], str), properties
        equal((p.tune["channel_max"], p.tune["frame_max"], p.tune["heartbeat"]), (2047, 131_072, 60), "tune")
        p.channel()
        p.close()


@case
def amqplain():
    """The mechanism AMQPLAIN lets the same clients in."""
    def response(user, password):
        fields = {"LOGIN": user, "PASSWORD": password}
        return wire.encode_table(fields)[4:].decode("latin-1")

    with peer(mechanism="AMQPLAIN", response=response("guest", "guest")):
        pass
    with peer(opens=False) as p:
        p.log_in(mechanism="AMQPLAIN", response=response("guest", "wrong"))
        p.connection_closed(403, "ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN.")


@case
def what_is_not_amqp():
    """Whatever else comes first is answered with our protocol header and the end of the connection."""
    for first in (b"AMQP\x00\x01\x00\x00", b"AMQP\x01\x01\x00\x0a", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01",
                  b'{"op":"hello"}\n', bytes(8)):
        p = peer(opens=False)
        p.raw(first)
        answer = b""
        try:
            while data := p.socket.recv(100):
                answer += data
        except ConnectionError:
            pass
        equal(answer, HEADER, f"the answer to {first!r}")
        p.drop()


@case
def a_wrong_password():
    """A wrong name or password is 403 for clients that know it, and the end of the connection for others."""
    for user, password in (("guest", "wrong"), ("somebody", "guest"), ("", "")):
        with peer(opens=False) as p:
            p.log_in(user=user, password=password)
            closed = p.connection_closed(403, "Login was refused using authentication mechanism PLAIN.")
            equal((closed["class_id"], closed["method_id"]), (10, 11), "the method")
        with peer(opens=False) as p:
            p.log_in(user=user, password=password, capabilities=())
            p.ended()


@case
def logins_that_are_none():
    """An unknown mechanism is 503, a malformed response 502."""
    with peer(opens=False) as p:
        p.log_in(mechanism="EXTERNAL")
        p.connection_closed(503, "COMMAND_INVALID - unknown authentication mechanism 'EXTERNAL'")
    for mechanism, response in (("PLAIN", ""), ("PLAIN", "guest"), ("PLAIN", "\0guest"), ("AMQPLAIN", "guest")):
        with peer(opens=False) as p:
            p.log_in(mechanism=mechanism, response=response)
            p.connection_closed(502, "SYNTAX_ERROR")


@case
def channels_have_any_number():
    """It is the number of channels that is bounded, not their numbers: 1 to 65535."""
    with peer(channel_max=2) as p:
        for number in (65_535, 2048):
            p.channel(number)
        queue = p.queue(65_535, exclusive=True)
        p.publish(2048, queue, b"far")
        p.sync(2048)
        equal(p.get(65_535, queue)["body"], b"far", "a message from channel to channel")
        p.send(2048, "channel.close", code=200)
        p.expect("channel.close-ok", 2048)
        p.channel(1)
        p.send(2, "channel.open")
        p.connection_closed(530, "number of channels opened (2) has reached the negotiated channel_max (2)")


@case
def limits_are_negotiated():
    """A client may lower the limits; asking for more is 530, and so is a frame smaller than 4096 bytes."""
    with peer(channel_max=2, frame_max=4096) as p:
        p.channel(1)
        p.channel(2)
        queue = p.queue(1, exclusive=True)
        p.publish(1, queue, b"b" * 20_000)
        equal(p.get(1, queue)["body"], b"b" * 20_000, "a body in frames of 4096 bytes")
        p.send(3, "channel.open")
        p.connection_closed(530, "NOT_ALLOWED")
    for asked, text in (({"channel_max": 2048}, "channel_max = 2048"), ({"frame_max": 131_073}, "frame_max = 131073"),
                        ({"frame_max": 4095}, "frame_max = 4095")):
        with peer(opens=False) as p:
            p.log_in()
            p.expect("connection.tune")
            p.send(0, "connection.tune-ok", **{"channel_max": 2047, "frame_max": 131_072, "heartbeat": 0, **asked})
            p.connection_closed(530, text)


@case
def an_unknown_virtual_host():
    """A virtual host that is not there is 530."""
    with peer(opens=False) as p:
        p.log_in()
        p.expect("connection.tune")
        p.send(0, "connection.tune-ok", channel_max=0, frame_max=0, heartbeat=0)
        p.send(0, "connection.open", vhost="nowhere")
        p.connection_closed(530, "NOT_ALLOWED - vhost nowhere not found")


@case
def methods_before_their_time():
    """A method that comes before its time, or that only servers send, is 503 on the connection, a channel 504."""
    def steps(p, count):
        if count > 0:
            p.log_in()
            p.expect("connection.tune")
        if count > 1:
            p.send(0, "connection.tune-ok", channel_max=2047, frame_max=131_072, heartbeat=0)

    for count, name in ((1, "connection.open"), (1, "connection.start-ok"), (2, "connection.tune-ok"),
                        (1, "connection.open-ok"), (2, "connection.update-secret")):
        with peer(opens=False) as p:
            steps(p, count)
            p.send(0, name)
            p.connection_closed(503, "COMMAND_INVALID")
    with peer(opens=False) as p:
        steps(p, 2)
        p.send(1, "channel.open")
        p.connection_closed(504, "CHANNEL_ERROR")
    with peer() as p:
        p.send(0, "connection.tune-ok")
        p.connection_closed(503)


@case
def a_client_that_says_nothing(limit_s=60):
    """A client that does not finish opening its connection is sent away after ten seconds."""
    began = time.monotonic()
    silent, halfway = peer(opens=False), peer(opens=False)
    halfway.log_in()
    halfway.expect("connection.tune")
    for p in (silent, halfway):
        p.ended()
    took = time.monotonic() - began
    assert 5 < took, f"the connection ended after {took:.1f} s"


@case
def sessions_cut_at_every_byte():
    """A session does the same wherever the network cuts it."""
    queue = "cut"
    with peer() as p:
        p.queue(p.channel(), queue)
    def session(number):
        return (method(1, "channel.open") + method(1, "confirm.select")
                + publishing(1, queue, b"body %d" % number, properties={"headers": {"n": number}, "messageId": "m"}, frame_max=12)
                + method(1, "basic.get", queue=queue, noAck=True) + method(0, "connection.close", code=200))

    def answers(p):
        names = []
        while "connection.close-ok" not in names:
            _, name, fields = p.read()
            names.append(name)
            if name == "basic.get-ok":
                got = fields
        equal(sorted(names), sorted(["channel.open-ok", "confirm.select-ok", "basic.ack", "basic.get-ok", "connection.close-ok"]), "answers")
        return got

    whole = session(0)
    for place in range(1, len(whole)):
        with peer() as p:
            bytes_ = session(place)
            p.raw(bytes_[:place])
            # The server is to read the first part alone at least now and then.
            time.sleep(0.001)
            p.raw(bytes_[place:])
            got = answers(p)
            equal((got["body"], got["properties"]), (b"body %d" % place, {"headers": {"n": place}, "messageId": "m"}), place)
    with peer() as p:
        for byte in session(-1):
            p.raw(bytes([byte]))
        equal(answers(p)["body"], b"body -1", "byte by byte")


@case
def broken_frames():
    """A frame that is too large, ends in the wrong octet or has no known type is 501; a heartbeat on a channel is 505."""
    broken = [
        (501, b"\x01\x00\x01\x7f\xff\xff\xff"), (501, frame(1, 1, b"\x00\x14\x00\x0a\x00")[:-1] + b"\xcf"), (501, frame(4, 1, b"")),
        (501, frame(1, 1, b"\x00")), (505, frame(8, 1, b"")), (505, frame(2, 1, b"")), (505, frame(3, 1, b"x")),
        (540, frame(1, 1, b"\x00\x0a\x03\xe7")), (502, frame(1, 1, b"\x00\x32\x00\x0a\x00")),
    ]
    for code, data in broken:
        with peer() as p:
            p.channel()
            p.raw(data)
            p.connection_closed(code)
    with peer(frame_max=4096) as p:
        p.channel()
        p.raw(method(1, "basic.publish", routingKey="q") + frame(2, 1, wire.encode_header(5000, {})) + frame(3, 1, bytes(4089)))
        p.connection_closed(501, "FRAME_ERROR")


@case
def goodbye():
    """`connection.close` is answered, as often as it is said; nothing behind it is done."""
    with peer() as p:
        p.channel()
        queue = p.queue(1, "goodbye")
        p.raw(method(0, "connection.close", code=200, text="bye") + publishing(1, queue)
              + method(0, "connection.close", code=200, text="bye"))
        p.expect("connection.close-ok")
        p.expect("connection.close-ok")
    with peer() as p:
        equal(p.count(p.channel(), "goodbye"), 0, "messages published after the goodbye")


@case
def secrets_are_updated():
    """`connection.update-secret` is answered."""
    with peer() as p:
        p.call(0, "connection.update-secret", secret="new", reason="the old one expires")


@case
def a_server_that_stops():
    """A server that stops says 320 to every connection."""
    server = own()
    p = Peer(server.amqp_port)
    p.channel()
    server.process.terminate()
    fields = p.expect("connection.close", 0)
    equal(fields["code"], 320, "the code")
    assert "CONNECTION_FORCED" in fields["text"], fields
    p.drop()
    equal(server.process.wait(30), 0, "the exit status")


@case
def a_port_that_is_taken():
    """A port for AMQP that was asked for and is taken is an error with exit status 2; `off` listens nowhere."""
    server = own()
    status, output = run_command(
        "serve", "--data", f"{server.folder}/other", "--listen", "127.0.0.1:0", "--amqp", f"127.0.0.1:{server.amqp_port}")
    equal(status, 2, f"the exit status with {output!r}")
    assert "AMQP" in output, output
    off = own("--amqp", "off")
    off.client().ok("stats")
    equal(len(off.lines), 1, f"lines {off.lines}")


@case
def tokens_are_passwords():
    """Where the server asks for tokens, an AMQP client's password is one of them, and guest is nobody."""
    path = f"{shared().folder}/amqp-tokens"
    with open(path, "w") as file:
        file.write("s3cret\n")
    server = own("--token-file", path)
    with Peer(server.amqp_port, user="anyone", password="s3cret") as p:
        p.channel()
    with Peer(server.amqp_port, opens=False) as p:
        p.log_in()
        p.connection_closed(403)


@case
def connections_that_are_too_many():
    """A connection over the limit is told so and closed."""
    server = own("--max-connections", "2")
    with Peer(server.amqp_port), Peer(server.amqp_port):
        with Peer(server.amqp_port, opens=False) as p:
            equal(p.expect("connection.close")["code"], 320, "the code")
            try:
                p.ended()
            except (Ended, socket.error):
                pass
