"""The register of scenarios and what each is given: a `Stage` on one of the two servers, and the trace it leaves.

Holds: a trace is a list of [label, value] with plain values; names are the same on both servers, and no other scenario's.
Leaves to others: the scenarios (scenarios_*.py), comparing (run.py).
"""

import json
import time

_scenarios = {}


def scenario(function):
    """Registers a function that takes a stage; its name is the scenario's."""
    assert function.__doc__, f"{function.__name__} has no sentence"
    assert function.__name__ not in _scenarios, f"two scenarios are called {function.__name__}"
    _scenarios[function.__name__] = function
    return function


def scenarios():
    return dict(_scenarios)


class Stage:
    """One scenario on one server."""

    def __init__(self, name, server):
        self.name_of_scenario, self.server = name, server
        self.trace, self.sessions = [], []

    def name(self, stem):
        """A name for a queue or an exchange."""
        return f"{self.name_of_scenario}.{stem}"

    def session(self):
        self.sessions.append(self.server.session())
        return self.sessions[-1]

    def restart(self):
        """Stops the server in good order and starts it again; all connections are gone."""
        while self.sessions:
            self.sessions.pop().close()
        self.server.restart()

    def note(self, label, value):
        """Puts a value into the trace."""
        assert label not in (known for known, _ in self.trace), f"two notes are called {label!r}"
        self.trace.append([label, json.loads(json.dumps(value))])

    def close(self):
        for session in self.sessions:
            session.close()


def run(name, server):
    """Runs a scenario and gives its trace; one that breaks off ends with the note `broke off`."""
    stage = Stage(name, server)
    try:
        _scenarios[name](stage)
    except Exception as problem:  # Whatever it is, it is a difference.
        stage.trace.append(["broke off", f"{type(problem).__name__}: {problem}"])
    finally:
        stage.close()
    return stage.trace


def pause(seconds):
    """Lets time pass in which nothing may happen, or something that is noted afterwards."""
    time.sleep(seconds)


# What a message shows.

# A RabbitMQ between a death and its look may have been started anew, which takes minutes on a machine that does other things.
RECENT_S = 300
LAST_DEATH = ("x-last-death-queue", "x-last-death-reason", "x-last-death-exchange")


def headers(message):
    """The headers without `x-last-death-…`, which RabbitMQ has from version 4 on, and with masked times."""
    found = message["properties"].get("headers", {})
    found = {key: value for key, value in found.items() if key not in LAST_DEATH}
    if "x-death" in found:
        found["x-death"] = [masked(death) for death in found["x-death"]]
    return found


def masked(death):
    """A death whose time is "now" when it is that of this test."""
    near = isinstance(death.get("time"), int) and abs(time.time() - death["time"]) < RECENT_S
    return {**death, "time": "now" if near else death.get("time")}


def shown(message):
    """All that a receiver sees, but for tags and counts; None stays None."""
    if message is None:
        return None
    properties = {key: value for key, value in message["properties"].items() if key != "headers"}
    if "headers" in message["properties"]:
        properties["headers"] = headers(message)
    fields = {name: message[name] for name in ("exchange", "routingKey", "redelivered", "body")}
    return {**fields, "properties": properties}


def deaths(message):
    """[queue, reason, count] of each death, as they stand in the header."""
    return [[death["queue"], death["reason"], death["count"]] for death in headers(message).get("x-death", ())]


# What scenarios do with dead letters.

def to(queue, **more):
    """Arguments of a queue whose dead letters go to `queue`; further ones as keywords such as x_message_ttl."""
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    return {**arguments, **{key.replace("_", "-"): value for key, value in more.items()}}


def rejected(s, queue):
    """Takes a message from the queue and refuses it."""
    s.reject(s.wait_get(queue, no_ack=False)["deliveryTag"], requeue=False)
