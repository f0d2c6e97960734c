"""Settings of `serve`: flags, environment variables and the file, their order, what is shown and what is refused."""

import contextlib
import functools
import json
import os
import re
import tempfile

from escapement_driver import equal, run_command
from suite import case, own


@contextlib.contextmanager
def environment(**variables):
    """Variables of this process, which servers and commands inherit."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


@functools.cache
def folder():
    """A folder that goes away with this process."""
    return tempfile.TemporaryDirectory(prefix="escapement-settings-")


def config(value):
    handle, path = tempfile.mkstemp(".json", dir=folder().name)
    os.close(handle)
    with open(path, "w", encoding="utf-8") as file:
        file.write(value if isinstance(value, str) else json.dumps(value))
    return path


def printed(*flags):
    """`--print-settings` as {name: (value, origin)}."""
    status, output = run_command("serve", *flags, "--print-settings")
    equal(status, 0, f"exit status: {output}")
    rows = [re.split(r"\s{2,}", line) for line in output.splitlines()]
    return {name: (value, origin) for name, value, origin in rows}


@case
def a_flag_counts_before_a_variable_before_the_file_before_the_default():
    """Flags count before variables, variables before the file, the file before defaults."""
    path = config({"tick-ms": 2, "wheel-size": 32, "max-line-bytes": "64KiB"})
    with environment(ESCAPEMENT_CONFIG=path, ESCAPEMENT_TICK_MS="4", ESCAPEMENT_WHEEL_SIZE="64"):
        server = own("--tick-ms", 8)
        reply = server.client().ok("hello", protocol=1)
    equal([reply[field] for field in ("tickMs", "wheelSize", "maxLineBytes")], [8, 64, 65_536])


@case
def print_settings_shows_every_setting_and_its_origin():
    """`--print-settings` shows all settings with their values and where each came from, and starts nothing."""
    path = config({"wheel-size": 32, "salvage": True})
    with environment(ESCAPEMENT_MAX_CONNECTIONS="7", ESCAPEMENT_ID_WINDOW_MS="1h"):
        rows = printed("--config", path, "--tick-ms", "5", "--listen", "127.0.0.1:1")
    equal(rows["tick-ms"], ("5", "flag"))
    equal(rows["max-connections"], ("7", "environment ESCAPEMENT_MAX_CONNECTIONS"))
    equal(rows["id-window-ms"], ("3600000", "environment ESCAPEMENT_ID_WINDOW_MS"))
    equal(rows["wheel-size"], ("32", f"file {path}"))
    equal(rows["salvage"], ("on", f"file {path}"))
    equal(rows["cache-bytes"], (str(256 << 20), "default"))
    equal(rows["max-body-bytes"], (str(1 << 20), "default"))
    _, output = run_command("serve", "--help")
    flags = set(re.findall(r"^  --([a-z-]+)", output, re.MULTILINE)) - {"help", "print-settings"}
    equal(set(rows), flags, "settings shown and settings in the help")


@case
def unknown_names_are_refused_with_the_nearest_known_one():
    """An unknown flag, variable or key of the file is refused with exit status 2 and the nearest known name."""
    status, output = run_command("serve", "--max-conections", "5")
    assert status == 2 and "--max-conections" in output and "--max-connections" in output, output
    with environment(ESCAPEMENT_MAX_CONECTIONS="5"):
        status, output = run_command("serve")
    assert status == 2 and "ESCAPEMENT_MAX_CONECTIONS" in output and "ESCAPEMENT_MAX_CONNECTIONS" in output, output
    path = config({"max-conections": 5})
    status, output = run_command("serve", "--config", path)
    assert status == 2 and path in output and "'max-connections'" in output, output


@case
def bad_values_are_refused_wherever_they_stand():
    """A value that is out of range, of a wrong kind or not JSON is refused with exit status 2, naming where it stands."""
    for value, words in (
        ({"tick-ms": 0}, "tick-ms"), ({"tick-ms": None}, "tick-ms"), ({"data": 1}, "data"), ('{"tick-ms": 1,}', "line 1"),
        ('{"tick-ms": 1, "tick-ms": 1}', "twice"), ("", "JSON"), ({"fsync": "sometimes"}, "sometimes"),
    ):
        path = config(value)
        status, output = run_command("serve", "--config", path)
        assert status == 2 and path in output and words in output, f"{value!r}: exit status {status}: {output}"
    with environment(ESCAPEMENT_TICK_MS="fast"):
        status, output = run_command("serve")
    assert status == 2 and "ESCAPEMENT_TICK_MS" in output, output
    status, output = run_command("serve", "--config", "/nowhere/config.json")
    assert status == 2 and "/nowhere/config.json" in output, output


@case
def other_than_loopback_needs_tokens_or_a_word():
    """Without tokens the server listens on loopback addresses only, unless `--insecure` is said."""
    for address in ("0.0.0.0:0", "[::]:0", "*:0"):
        status, output = run_command("serve", "--data", folder().name, "--listen", address)
        assert status == 2 and "--insecure" in output, f"{address}: exit status {status}: {output}"
    token = os.path.join(folder().name, "tokens")
    with open(token, "w", encoding="utf-8") as file:
        file.write("open-sesame\n")
    equal(printed("--listen", "0.0.0.0:0", "--token-file", token)["listen"], ("0.0.0.0:0", "flag"))
    equal(printed("--listen", "0.0.0.0:0", "--insecure")["insecure"], ("on", "flag"))
