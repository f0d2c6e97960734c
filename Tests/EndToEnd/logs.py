"""The log on the standard error: its two forms and its levels."""

import json
import re

from escapement_driver import equal
from suite import case, own


def lines(server):
    return server.errors().splitlines()


@case
def text_has_time_level_and_event_on_a_line():
    """`--log-format text`, the default: a line an event, with time, level and what happened."""
    server = own()
    server.stop()
    assert lines(server), "a start and a stop are worth a line"
    for line in lines(server):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) \w+: .+", line), line


@case
def json_is_an_object_on_a_line():
    """`--log-format json`: a JSON object a line with `time`, `level`, `event` and `message`; no bodies and no secrets."""
    server = own("--log-format", "json")
    client = server.client()
    client.ok("hello", protocol=1, token="open-sesame")
    client.ok("publish", topic="t", body="behind-closed-doors")
    server.stop()
    rows = [json.loads(line) for line in lines(server)]
    assert rows, "a start and a stop are worth a line"
    for row in rows:
        equal(list(row)[:4], ["time", "level", "event", "message"], "fields")
    assert "open-sesame" not in server.errors() and "behind-closed-doors" not in server.errors(), server.errors()


@case
def a_level_leaves_out_what_is_less_urgent():
    """`--log-level error` leaves out what a healthy server says."""
    server = own("--log-level", "error")
    server.client().ok("publish", topic="t", body=1)
    server.stop()
    equal(lines(server), [])
