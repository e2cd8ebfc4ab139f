"""`make test-fresh`: the README's commands on a Debian that has nothing else, as root and as an ordinary user.

A minimal Debian is built in a folder, from where this host has its packages. In it, what the README says is needed is
installed, then `make install`, `make run` and `make test` are run. While the gateway runs, the host's own `storescu`
sends it a file from outside: it enters the network of the machine, and nothing else of it. That network has a loopback
only, so ports collide with nothing. Mounts, processes and network end with this program, however it ends.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.fresh.host import copy_project, hand_over_pip
from tests.fresh.machine import Machine
from tests.processes import children
from tests.steps import step as step_of
from tests.waiting import wait_until

step = partial(step_of, "test-fresh")

PROJECT = Path(__file__).parents[2]
PROGRAMS = {"debootstrap": "debootstrap", "storescu": "dcmtk", "nsenter": "util-linux", "git": "git"}
PREREQUISITES = "apt-get install git make python3-venv"
SEND = "storescu -aet TEST -aec ChRIS 127.0.0.1 11111"
ACCOUNTS = {"root": "root", "ordinary": "visitor"}
HOMES = {"root": "root", "visitor": "home/visitor"}


def main() -> None:
    options = arguments()
    require_what_it_takes()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit("test-fresh: stopped"))  # by way of the end of the machine
    with Machine(options.folder) as machine:
        with step("a minimal Debian"):
            machine.build()
        with step(PREREQUISITES):
            machine.run("root", PREREQUISITES.replace("install", "install -q -y"), reaches_host=True)
            hand_over_pip(machine.root)
            machine.run("root", "useradd --create-home visitor")
        for name in options.accounts or ACCOUNTS:
            try_as(machine, ACCOUNTS[name], options.tests)
    print("test-fresh: all of it works.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fresh", description=__doc__)
    parser.add_argument("--as", dest="accounts", action="append", choices=ACCOUNTS, help="root or ordinary; both")
    parser.add_argument("--tests", default="", metavar="ARGUMENTS", help="what pytest gets, such as tests/unit; all")
    parser.add_argument("--quick", dest="tests", action="store_const", const=None, help="without the tests")
    parser.add_argument("--folder", default="/var/tmp", help="where there is room for 3 GB (/var/tmp)")
    return parser.parse_args()


def require_what_it_takes() -> None:
    """Raise SystemExit, naming what is missing."""
    if os.geteuid() != 0:
        raise SystemExit("test-fresh: it makes a machine of its own, which needs root: sudo make test-fresh")
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        raise SystemExit(f"test-fresh: apt-get install {' '.join(missing)}")
    told = "".join((PROJECT / page).read_text("utf-8") for page in ("README.md", "docs/develop.md"))
    for command in (PREREQUISITES, "make install", "make run", "make test", SEND):
        if command not in told:
            raise SystemExit(f"test-fresh: README.md and docs/develop.md do not say any more: {command}")


def try_as(machine: Machine, account: str, tests: str | None) -> None:
    """Do what the README says as one user. Raise CalledProcessError or AssertionError."""
    clone = machine.root / HOMES[account] / "oxidicom"
    copy_project(PROJECT, clone)
    machine.run("root", f"chown -R {account}: ~{account}/oxidicom")
    with step(f"make install, as {account}"):
        machine.run(account, "cd oxidicom && make install", reaches_host=True)
    with step(f"make run, as {account}, and a file from outside"):
        send_to_gateway(machine, account, clone)
    if tests is not None:
        with step(f"make tools, as {account}"):
            machine.run(account, "cd oxidicom && make tools", reaches_host=True)
        with step(f"make test, as {account}"):
            machine.run(account, f"cd oxidicom && make test PYTEST_ARGS='{tests}'")


def send_to_gateway(machine: Machine, account: str, clone: Path) -> None:
    log = clone.parent / "run.log"
    running = machine.start(account, "cd oxidicom && exec make run", log)
    (init,) = wait_until(lambda: running.poll() is None and children(running.pid), "the machine is up")
    try:
        wait_until(lambda: '"action": "ready"' in log.read_text(), "the gateway is ready", 120)
        (sample,) = clone.glob(".venv/lib/python3*/site-packages/pydicom/data/test_files/CT_small.dcm")
        subprocess.run(["nsenter", f"--net=/proc/{init}/ns/net", *SEND.split(), sample], check=True)
        wait_until(lambda: [*clone.glob("data/SERVICES/PACS/TEST/*/*/*/*.dcm")], "the file is stored", 120)
        wait_until(lambda: '"action": "series_ended"' in log.read_text(), "its series is registered", 120)
        os.kill(init, signal.SIGINT)
        running.wait(90)
        if '"action": "stopped"' not in log.read_text():
            raise AssertionError("Ctrl-C does not stop the gateway in order")
    except BaseException:
        sys.stderr.write(log.read_text())
        raise


if __name__ == "__main__":
    try:
        main()
    except (subprocess.CalledProcessError, AssertionError) as error:
        sys.exit(f"test-fresh: FAILED: {error}")
