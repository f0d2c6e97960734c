"""The AMQP clients that are run against the server, each with the tests that its authors wrote, unchanged.

Holds: a case is left out only with its reason in `LEFT_OUT`, and a line there that no case has any more is an error.
Leaves to others: starting the server (server.py), installing (tools.py).
"""

import os
import pathlib
import re
import subprocess

import containers
import tools

HERE = pathlib.Path(__file__).resolve().parent

# Suite → case → why it is left out.
_OTHER_PRODUCT = "does nothing unless the product is RabbitMQ, and leaves its connection open, which the suite then reports as a leak"
LEFT_OUT = {
    "py-amqp": {
        "test_tls_connect_fails": "needs a TLS listener with the suite's own certificates",
        "test_tls_default_certs": "connects to a public host",
        "test_tls_no_default_certs_fails": "connects to a public host",
    },
    "kombu": {},
    "aio-pika": {
        "test_big_message": "a body of 22 MB, and the server takes 16 MiB unless it is set otherwise, as RabbitMQ does from version 4 on",
    },
    "pika": {},
    "amqp091-go": {
        "TestPlaintextDialTLS": "TLS",
        "TestIntegrationRecoverNotImplemented": _OTHER_PRODUCT,
        "TestRabbitMQQueueTTLGet": _OTHER_PRODUCT,
        "TestRabbitMQQueueNackMultipleRequeue": _OTHER_PRODUCT,
    },
}


def _pytest(python, folder, tests, port, *options):
    environment = {**os.environ, "RABBITMQ_HOST": "127.0.0.1", "RABBITMQ_5672_TCP": str(port)}
    environment.pop("TOX_WORK_DIR", None)
    tools.run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *options, *tests, cwd=folder, env=environment)


def py_amqp(port):
    """py-amqp's integration tests; its cases over TLS are those whose names say so."""
    python = tools.python("amqp==5.4.2", "pytest", "pytest-rerunfailures")
    folder = tools.sources("amqp", "5.4.2")
    left_out = " and ".join(f"not {name}" for name in LEFT_OUT["py-amqp"])
    _pytest(python, folder, ["t/integration/test_rmq.py"], port, "--reruns", "0", "-k", f"not tls and {left_out}")


def kombu(port):
    """kombu's integration tests for py-amqp."""
    python = tools.python("kombu==5.7.0", "amqp==5.4.2", "pytest", "pytest-rerunfailures")
    folder = tools.sources("kombu", "5.7.0")
    left_out = " and ".join(f"not {name}" for name in LEFT_OUT["kombu"])
    _pytest(python, folder, ["t/integration/test_py_amqp.py"], port, "--reruns", "0", "-k", left_out)


def aio_pika(port):
    """aio-pika's integration tests of channels, queues, exchanges, transactions, RPC and workers, on plain connections."""
    python = tools.python(
        "aio-pika==10.2.1", "aiormq==7.2.4", "pytest", "aiomisc-pytest", "shortuuid", "uv-build")
    folder = tools.sources("aio_pika", "10.2.1", requirement="aio-pika==10.2.1")
    left_out = " and ".join(f"not {name}" for name in LEFT_OUT["aio-pika"])
    # Nothing listens where TLS would be.
    with containers.daemon({5672: port, 5671: 1}) as address:
        tools.run(
            python, "-m", "pytest", "-qq", "-p", "no:cacheprovider", "-W", "ignore", "-k", f"not connect_robust and {left_out}",
            "tests/test_amqp.py", "tests/test_rpc.py", "tests/test_master.py", "tests/test_nowait.py", cwd=folder,
            env={**os.environ, "DOCKER_HOST": address})


def amqp091_go(port):
    """The integration tests of RabbitMQ's Go client, as Debian packages them."""
    tools.debian("golang-go", "golang-github-rabbitmq-amqp091-go-dev")
    gopath = tools.HOME / "go"
    package = tools.copy_of(
        "/usr/share/gocode/src/github.com/rabbitmq/amqp091-go", "go/src/github.com/rabbitmq/amqp091-go")
    environment = {
        **os.environ, "GOPATH": f"{gopath}:/usr/share/gocode", "GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local",
        "GOCACHE": str(tools.HOME / "go-cache"), "AMQP_URL": f"amqp://guest:guest@127.0.0.1:{port}/"}
    listed = subprocess.run(
        ["go", "test", "-tags", "integration", "-list", "."], cwd=package, env=environment, text=True, capture_output=True, check=True)
    cases = [name for name in listed.stdout.split() if re.match(r"^Test", name)]
    unknown = set(LEFT_OUT["amqp091-go"]) - set(cases)
    assert not unknown, f"left out, but not there: {unknown}"
    chosen = "|".join(name for name in cases if name not in LEFT_OUT["amqp091-go"])
    tools.run(
        "go", "test", "-count=1", "-timeout", "300s", "-tags", "integration", "-run", f"^({chosen})$", cwd=package, env=environment)


def pika(port):
    """pika: publishing with confirms, consuming, transactions, returns, delays by TTL and by the delayed exchange."""
    tools.run(tools.python("pika==1.4.4"), HERE / "pika_cases.py", port, *LEFT_OUT["pika"])


def celery(port):
    """Celery: a worker with countdowns, retries, and native delayed delivery on quorum queues."""
    tools.run(tools.python("celery==5.7.0", "amqp==5.4.2"), HERE / "celery_cases.py", port)


def examples(port):
    """The examples that use pika and Celery."""
    python = tools.python("pika==1.4.4", "celery==5.7.0", "amqp==5.4.2")
    environment = {**os.environ, "ESCAPEMENT_AMQP": f"127.0.0.1:{port}"}
    for example in ("pika_delayed.py", "celery_timeouts.py"):
        tools.run(python, tools.ROOT / "Examples" / "python" / example, env=environment, timeout=180)


def amqp_tools(port):
    """The command-line tools of Debian's amqp-tools."""
    tools.debian("amqp-tools")
    url = ["-u", f"amqp://guest:guest@127.0.0.1:{port}"]
    tools.run("amqp-declare-queue", *url, "-q", "tools", stdout=subprocess.DEVNULL)
    tools.run("amqp-publish", *url, "-r", "tools", "-p", "-b", "hello")
    got = subprocess.run(["amqp-get", *url, "-q", "tools"], capture_output=True, check=True).stdout
    assert got == b"hello", got
    tools.run("amqp-publish", *url, "-r", "tools", "-b", "again")
    got = subprocess.run(["amqp-consume", *url, "-q", "tools", "-c", "1", "cat"], capture_output=True, check=True, timeout=60).stdout
    assert got == b"again", got
    tools.run("amqp-delete-queue", *url, "-q", "tools", stdout=subprocess.DEVNULL)


SUITES = {
    "py-amqp": py_amqp, "kombu": kombu, "aio-pika": aio_pika, "amqp091-go": amqp091_go, "pika": pika, "celery": celery, "examples": examples,
    "amqp-tools": amqp_tools,
}
