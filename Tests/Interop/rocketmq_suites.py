"""Suites of real RocketMQ clients.

Holds: a suite is a function of an address that fails by raising; what it installs is pinned.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

import server
import tools

HERE = pathlib.Path(__file__).resolve().parent
CLIENT = "rocketmq==0.4.4"
# Levels of seconds: the cases know them.
FLAGS = ["--rocketmq", "127.0.0.1:0", "--amqp", "off", "--delay-levels", "1s 2s 3s 1s 1s"]
CASES = ("delays", "forms", "members", "retries", "orderly")


def run_case(port, *words, limit_s=180):
    """One case in a process of its own; the client writes its log under a home of ours."""
    home = tools.HOME / "rocketmq-home"
    home.mkdir(parents=True, exist_ok=True)
    tools.run(
        tools.python(CLIENT), HERE / "rocketmq_cases.py", port, *words, timeout=limit_s, env={**os.environ, "HOME": str(home)})


def cpp_client(port):
    """The C++ client (PyPI's rocketmq): delays, forms of sending, groups, retries, order."""
    for name in CASES:
        try:
            run_case(port, name)
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{name} failed with status {error.returncode}") from None
        print(f"  {name}", flush=True)


def kept(binary):
    """The C++ client: the offsets of a group are where they were after the server was killed."""
    folder, topic, group = tempfile.mkdtemp(prefix="escapement-interop-"), f"t-{os.getpid()}", f"g-{os.getpid()}"
    try:
        for case in ("fill", "drain"):
            with server.escapement(binary, *FLAGS, data=folder) as ports:
                run_case(ports["rocketmq"], case, topic, group)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


SUITES = {"rocketmq-cpp": cpp_client}
OWN_SERVERS = {"rocketmq-cpp-kept": kept}
