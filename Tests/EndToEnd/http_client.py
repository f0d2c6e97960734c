"""HTTP over a real socket: requests as bytes, responses checked against what HTTP promises.

Holds: every read is bounded by a deadline; every response has a status line, a length and a body of that length.
Leaves to others: what a case expects.
"""

import collections
import json
import socket

DEADLINE_S = 30.0

Response = collections.namedtuple("Response", "status fields body")


class HttpClient:
    """One connection."""

    def __init__(self, address, headers=()):
        self.socket = socket.create_connection(address, timeout=DEADLINE_S)
        self.headers = list(headers)
        self.received = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, path, body=None, *headers):
        """Sends a request and reads its response."""
        self.begin(method, path, body, *headers)
        return self.response(is_for_head=method == "HEAD")

    def begin(self, method, path, body=None, *headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *self.headers, *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def response(self, is_for_head=False):
        """The next response; None when the server has closed."""
        while b"\r\n\r\n" not in self.received:
            if not self._read():
                assert not self.received, f"half a response: {self.received!r}"
                return None
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if status == "100":
            return Response(100, fields, b"")
        length = 0 if is_for_head else int(fields["content-length"])
        while len(self.received) < length:
            assert self._read(), "the server closed in the middle of a body"
        body, self.received = self.received[:length], self.received[length:]
        return Response(int(status), fields, body)

    def _read(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.received += data
        return bool(data)

    def op(self, op, **fields):
        """An operation by `POST /v1`: (status, reply)."""
        response = self.request("POST", "/v1", json.dumps({"op": op, **fields}).encode(), "Content-Type: application/json")
        assert response.fields["content-type"] == "application/json", response
        return response.status, json.loads(response.body)

    def ok(self, op, **fields):
        status, reply = self.op(op, **fields)
        assert status == 200 and reply["ok"] is True, f"{op}: {status} {reply}"
        return reply

    def refused(self, op, **fields):
        """(status, error code) of an operation that is refused."""
        status, reply = self.op(op, **fields)
        assert reply["ok"] is False and reply["message"], f"{op}: {status} {reply}"
        return status, reply["error"]
