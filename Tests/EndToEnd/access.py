"""The access file made and changed by `escapement access`."""

import functools
import hashlib
import itertools
import os
import stat
import tempfile

from escapement_driver import equal, run_command
from suite import case


_numbers = itertools.count(1)


@functools.cache
def folder():
    """A folder that goes away with this process."""
    return tempfile.TemporaryDirectory(prefix="escapement-access-")


def new_path():
    return os.path.join(folder().name, f"access-{next(_numbers)}")


def add(path, name, *grants):
    status, output = run_command("access", "add", name, "--access", path, *(word for grant in grants for word in ("--allow", grant)))
    equal(status, 0, f"exit status: {output}")
    return output.strip()


@case
def adding_prints_the_secret_once_and_keeps_its_hash():
    """`access add NAME --allow RIGHT:PATTERN` adds an entry and prints its secret, of which the file has the SHA-256 alone."""
    path = new_path()
    secret, other = add(path, "shop", "schedule,cancel:orders.*", "consume:queue:a b"), add(path, "mailer")
    assert len(secret) >= 32 and secret != other, f"secrets are long and differ: {secret!r}, {other!r}"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert secret not in text and hashlib.sha256(secret.encode()).hexdigest() in text, text
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode of the file")
    status, output = run_command("access", "list", "--access", path)
    equal((status, output), (0, "shop  schedule,cancel:orders.*  consume:queue:a\\ b\nmailer\n"), "the list")
    assert secret not in output


@case
def removing_takes_one_entry_out_and_keeps_remarks():
    """`access remove NAME` takes the entry out; remarks and other entries stay."""
    path = new_path()
    add(path, "shop", "all:*")
    with open(path, "a", encoding="utf-8") as file:
        file.write("# by hand\n")
    add(path, "mailer", "consume:*")
    equal(run_command("access", "remove", "shop", "--access", path), (0, ""), "remove")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "# by hand\n" in text and "shop" not in text and "mailer" in text, text
    status, output = run_command("access", "remove", "shop", "--access", path)
    assert status == 1 and "shop" in output, f"exit status {status}: {output}"


@case
def mistakes_are_named():
    """Bad grants and names exit 2; a name that is taken, a file that is damaged or not there exit 1, each with a message."""
    path = new_path()
    wrong = (
        ("access",), ("access", "give"), ("access", "add", "--access", path), ("access", "add", "a/b", "--access", path),
        ("access", "add", "a", "--allow", "write:*", "--access", path), ("access", "add", "a", "--allow", "admin", "--access", path),
        ("access", "list", "--frobnicate"),
    )
    for arguments in wrong:
        status, output = run_command(*arguments)
        assert status == 2 and output.strip(), f"{arguments}: exit status {status}, {output!r}"
    status, output = run_command("access", "list", "--access", path)
    assert status == 1 and path in output, f"exit status {status}: {output}"
    add(path, "shop")
    status, output = run_command("access", "add", "shop", "--access", path)
    assert status == 1 and "shop" in output, f"exit status {status}: {output}"
    with open(path, "a", encoding="utf-8") as file:
        file.write("mailer open-sesame all:*\n")
    status, output = run_command("access", "list", "--access", path)
    assert status == 1 and "line" in output, f"exit status {status}: {output}"
    equal(run_command("access", "--help")[0], 0, "exit status of the help")
