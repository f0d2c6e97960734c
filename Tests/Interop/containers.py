"""What a suite sees that wants its broker in a container: a daemon in which every container is the server under test.

Holds: it listens on loopback, knows as much of the daemon's protocol as asking for a container, its ports and its end takes, and starts
nothing.
"""

import contextlib
import http.server
import json
import threading


def _handler(ports):
    bindings = {f"{inside}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outside)}] for inside, outside in ports.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self, body=None):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = b"" if body is None else json.dumps(body).encode()
            self.send_response(200 if data else 204)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self):
            self._answer({"Id": "server"} if self.path.endswith("/create") else None)

        def do_GET(self):
            self._answer({"NetworkSettings": {"Ports": bindings}})

        def do_DELETE(self):
            self._answer()

        def log_message(self, *_):
            pass

    return Handler


@contextlib.contextmanager
def daemon(ports):
    """Runs it; `ports` names for each port inside of a container the port that there really is. Gives its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(ports)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()
