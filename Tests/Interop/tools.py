"""What the interoperability suites need from outside: packages of Debian and PyPI, installed when they are missing.

Holds: nothing is installed into the system's Python; sources of a suite are unpacked into a folder of our own and never changed.
Leaves to others: which suites there are and what they need (run.py).
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = pathlib.Path(os.environ.get("ESCAPEMENT_INTEROP", ROOT / ".build" / "interop"))


def run(*command, **options):
    """Runs a command to its end and stops everything when it fails."""
    subprocess.run([str(word) for word in command], check=True, **options)


def debian(*packages):
    """Installs Debian packages that are not there yet."""
    missing = [name for name in packages if not _is_installed(name)]
    if not missing:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-q", env=environment, stdout=subprocess.DEVNULL)
    run("apt-get", "install", "-y", "-q", "--no-install-recommends", *missing, env=environment, stdout=subprocess.DEVNULL)


def _is_installed(package):
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
    return "install ok installed" in found.stdout


def python(*packages):
    """A Python of our own that has these packages; gives the path of its interpreter."""
    interpreter = HOME / "venv" / "bin" / "python"
    if not interpreter.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "venv", HOME / "venv")
    wanted = [name for name in packages if not _has(interpreter, name)]
    if wanted:
        run(interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted)
    return interpreter


def _has(interpreter, requirement):
    name, _, version = requirement.partition("==")
    found = subprocess.run(
        [interpreter, "-m", "pip", "show", "--disable-pip-version-check", name], capture_output=True, text=True)
    return found.returncode == 0 and (not version or f"Version: {version}\n" in found.stdout)


def sources(package, version, requirement=None):
    """The source archive of a PyPI package, unpacked; gives its folder.

    `requirement` is how the package is asked for, where that is not the name of its archive.
    """
    folder = HOME / f"{package}-{version}"
    if folder.exists():
        return folder
    archives = HOME / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    interpreter = python("setuptools", "wheel")
    # What builds some packages is a program of the environment.
    environment = {**os.environ, "PATH": f"{interpreter.parent}:{os.environ['PATH']}"}
    run(
        interpreter, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-binary",
        ":all:", "-d", archives, requirement or f"{package}=={version}", env=environment)
    with tarfile.open(next(archives.glob(f"{package}-{version}.tar.*"))) as archive:
        archive.extractall(HOME, filter="data")
    return folder


def copy_of(folder, name):
    """A fresh copy of a folder, to be run in."""
    copy = HOME / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    return copy
