"""What a client may rely on, written down outside of the server: the ledger of the crash test.

Holds: an entry says what was acknowledged and what is in doubt (sent, and no reply seen); every method may be called from
any thread. `problems` collects each broken promise in words.
Leaves to others: producing the load and the crashes (ledger.py).
"""

import threading

# A day: nothing between the near and the far can come due while the test runs.
FAR_MS = 86_400_000


class Entry:
    """One message id, owned by one worker, so that its requests never overtake each other."""

    def __init__(self, name, due):
        self.name = name
        self.known = False          # its schedule or publish was acknowledged
        self.dues = {due}           # every due time that may be in force; publishes have {0}
        self.cancelled = False      # an acknowledged cancel
        self.cancel_doubt = False   # a cancel that was sent and not answered
        self.absent = False         # the server said `unknown` to an id that was never acknowledged
        self.released = False       # the server said `released`, or a consumer saw it
        self.offset = None          # the offset that a publish was answered with

    def must_be_released(self):
        return not self.cancelled and (self.released or (
            self.known and not self.cancel_doubt and all(due < self.far_edge for due in self.dues)))

    def must_be_pending(self):
        return (self.known and not self.cancelled and not self.cancel_doubt and not self.released
                and all(due >= self.far_edge for due in self.dues))


class Ledger:
    """All entries, all that consumers saw, and the broken promises."""

    def __init__(self, started_ms):
        self.lock = threading.RLock()
        self.entries = {}
        self.id_at = {}
        self.offset_of = {}
        self.acked = {}
        self.seen_by = {}
        self.problems = []
        self.counts = {}
        Entry.far_edge = started_ms + FAR_MS // 2

    def broken(self, text):
        with self.lock:
            self.problems.append(text)

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + by

    def new(self, name, due):
        with self.lock:
            entry = self.entries[name] = Entry(name, due)
            return entry

    # Replies to the requests of a worker.

    def scheduled(self, entry, was_released, reply):
        """A schedule was answered: the first time, or a repeated one after a crash. `was_released`: known when it was sent."""
        with self.lock:
            self.count(reply["outcome"])
            if reply["outcome"] == "released":
                self._released(entry, "a repeated schedule")
            elif reply["outcome"] in ("scheduled", "kept"):
                if was_released:
                    self.broken(f"{entry.name}: scheduled again after its release: {reply!r}")
                if reply["deliverAtMs"] < min(entry.dues):
                    self.broken(f"{entry.name}: accepted for {reply['deliverAtMs']}, asked for {sorted(entry.dues)}")
            else:
                self.broken(f"{entry.name}: outcome {reply!r}")
            entry.known = True

    def published(self, entry, reply):
        with self.lock:
            self.count("published")
            entry.known = entry.released = True
            entry.offset = reply["offset"]
            self._place(reply["offset"], entry.name, "the reply to a publish")

    def cancel_answered(self, entry, outcome):
        with self.lock:
            self.count(outcome)
            if outcome == "cancelled":
                if entry.released:
                    self.broken(f"{entry.name}: cancelled after it was released")
                entry.cancelled, entry.cancel_doubt = True, False
            elif outcome == "released":
                self._released(entry, "cancel")
            elif entry.known and not entry.cancel_doubt and not entry.cancelled:
                self.broken(f"{entry.name}: an acknowledged message is unknown to cancel")
            elif not entry.known:
                entry.absent = True

    def reschedule_answered(self, entry, due, was_released, reply):
        with self.lock:
            self.count(reply["outcome"])
            if reply["outcome"] == "rescheduled":
                if was_released or entry.cancelled:
                    self.broken(f"{entry.name}: rescheduled after it was released or cancelled")
                if reply["deliverAtMs"] < due:
                    self.broken(f"{entry.name}: moved to {reply['deliverAtMs']}, asked for {due}")
                entry.dues, entry.known = {due}, True
            elif reply["outcome"] == "released":
                self._released(entry, "reschedule")
            elif entry.known and not entry.cancel_doubt and not entry.cancelled:
                self.broken(f"{entry.name}: an acknowledged message is unknown to reschedule")
            elif not entry.known:
                entry.absent = True

    def _released(self, entry, what):
        entry.released = True
        if entry.cancelled:
            self.broken(f"{entry.name}: {what} says released after an acknowledged cancel")

    # What consumers see.

    def seen(self, group, message, received_ms):
        """A message was delivered to a group."""
        with self.lock:
            self.count(f"seen by {group}")
            name, offset = message["id"], message["offset"]
            self._place(offset, name, f"the group {group}")
            self.seen_by.setdefault(group, set()).add(offset)
            entry = self.entries.get(name)
            if entry is None:
                self.broken(f"{name}: delivered, and nobody sent it: {message!r}")
                return
            if entry.cancelled:
                self.broken(f"{name}: released after an acknowledged cancel: {message!r}")
            if entry.absent:
                self.broken(f"{name}: released, and the server had said that it is unknown: {message!r}")
            earliest = min(entry.dues)
            if message["releasedAtMs"] < earliest or received_ms < earliest or message["deliverAtMs"] < earliest:
                self.broken(f"{name}: early, received at {received_ms}, due {sorted(entry.dues)}: {message!r}")
            if message["body"] != {"id": name}:
                self.broken(f"{name}: with the body of another message: {message!r}")
            if offset in self.acked.get(group, ()):
                self.broken(f"{name}: delivered again to {group} after its acknowledgement: {message!r}")
            entry.released = entry.known = True

    def acknowledged(self, group, offsets, reply):
        with self.lock:
            self.count(f"acknowledged by {group}", len(offsets))
            if reply["acked"] != len(offsets):
                self.broken(f"{group}: {reply['acked']} of the offsets {offsets} were acknowledged")
            self.acked.setdefault(group, set()).update(offsets)

    def _place(self, offset, name, where):
        if self.id_at.setdefault(offset, name) != name:
            self.broken(f"offset {offset} was {self.id_at[offset]}, now {name} ({where})")
        if self.offset_of.setdefault(name, offset) != offset:
            self.broken(f"{name}: offset {self.offset_of[name]} and then {offset} ({where})")

    # The judgement.

    def awaited(self):
        """The ids that have to be in the topic."""
        with self.lock:
            return {name for name, entry in self.entries.items() if entry.must_be_released()}

    def judge(self, drained, pending):
        """`drained`: the whole topic in order of offsets; `pending`: id → deliverAtMs of the complete `list`."""
        if [message["offset"] for message in drained] != list(range(len(drained))):
            self.broken("the offsets of the topic are not dense")
        final = {message["offset"]: message["id"] for message in drained}
        for offset, name in self.id_at.items():
            if final.get(offset) != name:
                self.broken(f"offset {offset} was seen as {name} and is {final.get(offset)} in the end")
        names = set(final.values())
        if len(names) != len(final):
            self.broken(f"{len(final) - len(names)} messages are in the topic twice")
        for name, entry in self.entries.items():
            if entry.must_be_released() and name not in names:
                self.broken(f"{name}: acknowledged and lost (due {sorted(entry.dues)}, pending: {name in pending})")
            if entry.must_be_pending() and name not in pending:
                self.broken(f"{name}: acknowledged for the far future and lost (in the topic: {name in names})")
            if entry.cancelled and (name in names or name in pending):
                self.broken(f"{name}: cancelled, and released or pending in the end")
            if name in names and name in pending:
                self.broken(f"{name}: released and pending")
            if name in pending and pending[name] not in entry.dues:
                self.broken(f"{name}: pending for {pending[name]}, not for {sorted(entry.dues)}")
        for name in pending.keys() - self.entries.keys():
            self.broken(f"{name}: pending, and nobody sent it")
