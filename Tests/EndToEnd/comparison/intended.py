"""Where our front end differs from RabbitMQ on purpose, and why.

Holds: an entry names the scenario and the label of the note (shell patterns), what stands on either side (regular
expressions for the whole value as Python prints it; ours may refer to the groups of theirs), and the reason;
docs/rabbitmq.md says the same to users.
Leaves to others: finding the differences (run.py).
"""

import collections
import fnmatch
import re

Entry = collections.namedtuple("Entry", "scenario label theirs ours reason")

CAUSE = "the cause stands there in words, not as an Erlang term"

ENTRIES = (
    # Texts.
    Entry("arguments_of_queues", "*",
          r"""406 (PRECONDITION_FAILED - invalid arg '[a-z-]+' for queue '\S+' in vhost '/':) [^ ].*""",
          r"406 \1 .* is .+", CAUSE),
    Entry("arguments_of_queues", "x-dead-letter-exchange *",
          r"406 PRECONDITION_FAILED - invalid type '\w+' for arg 'x-dead-letter-exchange' in queue '(\S+)' in vhost '/'",
          r"406 PRECONDITION_FAILED - invalid arg 'x-dead-letter-exchange' for queue '\1' in vhost '/': .* is not a string",
          "arguments that are not what they must be are all refused in the same words"),
    Entry("expirations", "*", r"406 (PRECONDITION_FAILED - invalid expiration '.*':) (?:no_integer|\{\w+, ?.*\})",
          r"406 \1 (?:no integer|negative|too large|left-over characters '.*')", CAUSE),
    Entry("bad_header_bindings", "x-match *", r"406 PRECONDITION_FAILED - Invalid x-match field (?:value|type) .*",
          r"406 PRECONDITION_FAILED - invalid x-match; expected all, any, all-with-x or any-with-x", CAUSE),
    Entry("copies", "text", r"406 (PRECONDITION_FAILED - invalid message:) \{unacceptable_type_in_header,.*",
          r"406 \1 header 'CC' is a longstr, not an array", CAUSE),
    Entry("queue_again", "a fraction", r"406 (.*) received '6.0e4' (.*)", r"406 \1 received '60000.0' \2",
          "a number is shown as it came"),
    Entry("exchange_again", "unknown type", "503 COMMAND_INVALID - invalid exchange type 'unknown'",
          "406 PRECONDITION_FAILED - unknown or invalid exchange type 'unknown'",
          "as RabbitMQ does from version 4 on: the channel closes, not the connection"),
    Entry("properties", "deliveryMode [03]", r"406 (PRECONDITION_FAILED - invalid message:) \{delivery_mode_unknown,([03])\}",
          r"406 \1 delivery mode \2 is neither 1 nor 2", CAUSE),
    # What is not there.
    Entry("arguments_we_do_not_have", "x-queue-type stream", "ok",
          r"406 PRECONDITION_FAILED - invalid arg '.*: .* is not one of .*", "a stream is no queue"),
    Entry("arguments_we_do_not_have", "x-queue-type none",
          r"406 (PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '\S+' in vhost '/':) .*", r"406 \1 .* is not one of .*", CAUSE),
    Entry("delivery_limits", "*", "ok", r"406 PRECONDITION_FAILED - invalid arg 'x-delivery-limit' .*",
          "RabbitMQ passes over a limit that is no number or negative; a limit that does not limit is refused"),
    Entry("delivery_limits", "in a classic queue", r"406 .* of queue type rabbit_classic_queue", "ok",
          "every queue may have a delivery limit"),
    # Names.
    Entry("server_named", "passive", "404 NOT_FOUND - no queue '' in vhost '/'", "404 NOT_FOUND - no previously declared queue",
          "an empty name means the queue declared last, in a passive declaration, too"),
    Entry("server_named", "declare again by its name", r"403 .*", "ok",
          "a queue that is there may be declared again by whatever name it has"),
    # Dead letters.
    Entry("last_death_headers", "headers", r"\[\]", r"\['x-last-death-exchange', .*",
          "RabbitMQ has x-last-death-… from version 4 on"),
    Entry("headers_of_a_publisher", "*: the rest", r"\{\}", r"\{'x-first-death-reason': 'rejected', .*",
          "x-first-death-… is set whenever it is missing; RabbitMQ 3 takes any x-death of a publisher for an earlier death"),
    Entry("headers_of_a_publisher", "an entry without count", r"\[\{'count': 1, .*", r"\[.*'count': 2.*",
          "an entry without a count stands for one death"),
    Entry("order_of_deaths", "[34] deaths", r"\['d', .*\]", r"\['d', 'c', 'b'(, 'a')?\]",
          "most recent first; RabbitMQ 3 turns the older entries round each time that it adds to two or more"),
    Entry("a_rejection_in_the_circle", "turn [12]", "None", r"\[\[.*",
          "a circle with a rejection goes on; RabbitMQ 3 looks for it in entries whose order it has turned round"),
    # Time.
    Entry("head_of_line", "after the shorter's time", r"\[2, \[\]\]", r"\[1, \['short'\]\]",
          "each message expires on time, wherever it stands"),
    Entry("head_of_line", "after the head went", r"\[0, \['short'\]\]", r"\[0, \[\]\]",
          "each message expires on time, wherever it stands"),
    Entry("looking_at_a_queue_that_expires", "after twice its time", "True", "False",
          "looking at a queue by a passive declaration is not using it"),
    # Routing.
    Entry("alternate_exchange", "the default exchange", r"\[\['return', 312, .*", "ack",
          "the default exchange serves as alternate exchange like any other"),
    Entry("alternate_exchange", "by the default exchange", r"\[\]", r"\['m'\]",
          "the default exchange serves as alternate exchange like any other"),
)


def _covers(entry, scenario, label, ours, theirs):
    return (fnmatch.fnmatchcase(scenario, entry.scenario) and fnmatch.fnmatchcase(label, entry.label)
            and re.fullmatch(f"{entry.theirs}\n{entry.ours}", f"{theirs}\n{ours}", re.DOTALL))


def find(*difference):
    """The entry that covers a difference, or None."""
    return next((entry for entry in ENTRIES if _covers(entry, *difference)), None)


def unused(scenarios, differences):
    """The entries for these scenarios that cover none of the differences."""
    used = {find(*difference) for difference in differences}
    return [entry for entry in ENTRIES if entry.scenario in scenarios and entry not in used]
