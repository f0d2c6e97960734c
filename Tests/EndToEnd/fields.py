"""The Framing section on fields: unknown ones, wrong types, missing ones and ranges are refused by name."""

from escapement_driver import equal, topic_row, unique
from suite import case, connect


@case
def an_unknown_field_is_refused_naming_it():
    """Unknown fields are refused (`bad_request`, the message names the field). The connection stays open."""
    topic = unique()
    requests = (
        ("ping", {}, "delayMs"), ("hello", {"protocol": 1}, "Protocol"),
        ("schedule", {"topic": topic, "body": 1, "delayMs": 60_000}, "delayMS"),
        ("schedule", {"topic": topic, "body": 1}, "delayms"), ("schedule", {"topic": topic, "body": 1}, "delay"),
        ("publish", {"topic": topic, "body": 1}, "delayMs"), ("cancel", {"topic": topic, "id": "a"}, "ids"),
        ("reschedule", {"topic": topic, "id": "a", "delayMs": 1}, "body"), ("get", {"topic": topic, "id": "a"}, "x"),
        ("list", {"topic": topic}, "from"), ("subscribe", {"topic": topic}, "prefetch"),
        ("ack", {"topic": topic, "group": "g", "offset": 0}, "offest"), ("topics", {}, "topic"), ("stats", {}, "all"),
        ("fetch", {"topic": topic, "group": "g"}, "maxWaitMs"), ("createTopic", {"topic": topic}, "ttl"),
    )
    with connect() as client:
        for op, fields, unknown in requests:
            reply = client.refused("bad_request", op, **fields, **{unknown: 1})
            assert unknown in reply["message"], f"the message names {unknown}: {reply!r}"
        equal(topic_row(client, topic), None, "the topic of refused requests")


@case
def a_field_of_the_wrong_type_is_refused_naming_it():
    """Fields of the wrong type are refused (`bad_request`, the message names the field). The connection stays open."""
    topic = unique()
    good = {
        "schedule": {"topic": topic, "body": 1, "delayMs": 60_000}, "publish": {"topic": topic, "body": 1},
        "cancel": {"topic": topic, "id": "a"}, "list": {"topic": topic}, "subscribe": {"topic": topic, "group": "g"},
        "fetch": {"topic": topic, "group": "g"}, "ack": {"topic": topic, "group": "g", "offset": 0},
        "seek": {"topic": topic, "group": "g", "to": "latest"}, "createTopic": {"topic": topic}, "hello": {"protocol": 1},
    }
    wrong = (
        ("schedule", "topic", (5, None, ["t"])), ("schedule", "delayMs", ("5", 1.5, True, None, [1], {})),
        ("schedule", "id", (7, None, [], {})), ("schedule", "key", (1, {})), ("schedule", "tag", (1, [])),
        ("schedule", "headers", ([], "a", 1, {"a": 1}, {"a": None}, {"a": {"b": "c"}})),
        ("schedule", "ifExists", (1, "maybe", True)), ("schedule", "acks", (0, "always", None)),
        ("publish", "topic", (1,)), ("publish", "acks", (True,)), ("cancel", "id", (1,)),
        ("list", "limit", ("10", 1.5)), ("list", "fromMs", ("0",)), ("list", "toMs", ([],)), ("list", "cursor", ({},)),
        ("subscribe", "credit", ("1", 1.5, True)), ("subscribe", "ackWaitMs", ("1",)), ("subscribe", "maxAttempts", ("1",)),
        ("subscribe", "from", ("middle", 3, {}, {"offset": "1"}, {"what": 1})), ("subscribe", "tags", ("a", {}, [1])),
        ("subscribe", "ordered", (1, "true")), ("fetch", "max", ("1",)), ("fetch", "waitMs", ("1", 0.5)),
        ("ack", "offset", ("0", 0.5, [0])), ("seek", "to", (1, "middle", {"offset": "0"})),
        ("createTopic", "retentionMs", ("1",)), ("hello", "protocol", ("1",)), ("hello", "client", (1,)),
    )
    with connect() as client:
        for op, field, values in wrong:
            for value in values:
                reply = client.refused("bad_request", op, **{**good[op], field: value})
                assert field in reply["message"], f"the message names {field}: {reply!r}"
        equal(topic_row(client, topic), None, "the topic of refused requests")


@case
def a_missing_field_is_refused_naming_it():
    """A request without a field that it needs is `bad_request`, the message names the field."""
    missing = (
        ("schedule", {"topic": "t", "delayMs": 1}, "body"), ("schedule", {"body": 1, "delayMs": 1}, "topic"),
        ("publish", {"topic": "t"}, "body"), ("cancel", {"topic": "t"}, "id"), ("get", {"id": "a"}, "topic"),
        ("fetch", {"topic": "t"}, "group"), ("seek", {"topic": "t", "group": "g"}, "to"), ("hello", {}, "protocol"),
        ("unsubscribe", {}, "sub"), ("deleteTopic", {}, "topic"), ("list", {}, "topic"),
    )
    with connect() as client:
        for op, fields, field in missing:
            reply = client.refused("bad_request", op, **fields)
            assert field in reply["message"], f"the message names {field}: {reply!r}"


@case
def numbers_are_range_checked():
    """Numbers in protocol fields are integers, range-checked; the connection stays open."""
    topic = unique()
    out = (
        ("subscribe", {"group": "g"}, "credit", (0, -1, 65_537, 2**64, 10**30)), ("list", {}, "limit", (1_001, -1, 2**70)),
        ("fetch", {"group": "g"}, "max", (1_001, -1)), ("fetch", {"group": "g"}, "waitMs", (60_001, -1)),
        ("fetch", {"group": "g"}, "ackWaitMs", (-1,)), ("fetch", {"group": "g"}, "maxAttempts", (0, -1)),
        ("ack", {"group": "g"}, "offset", (-1, 2**64)), ("ack", {"group": "g"}, "upTo", (-1, 2**64)),
        ("schedule", {"body": 1}, "delayMs", (-1, -(2**63), -(10**30))), ("subscribe", {"group": "g"}, "from", ({"offset": -1},)),
    )
    with connect() as client:
        for op, fields, field, values in out:
            for value in values:
                reply = client.refused("bad_request", op, topic=topic, **fields, **{field: value})
                assert field in reply["message"], f"the message names {field}: {reply!r}"
        client.ok("ping")
