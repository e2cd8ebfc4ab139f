"""Each target of the Makefile installs what it needs and no more, and `make run` keeps its state below the checkout."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.powers import need_root

ROOT = Path(__file__).parents[2]
PRINT_STATE = '#!/bin/sh\necho "$0 $*|$CHRIS_DB_CONNECTION|$CHRIS_FILES_ROOT|$STATE_DIRECTORY|$CHRIS_HTTP_PORT"\n'


def make(*arguments, cwd=ROOT, **variables):
    environment = {"PATH": os.environ["PATH"], **variables}
    command = ["make", "-f", ROOT / "Makefile", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("target", "extras"),
    [
        ("install", {"embedded"}),
        ("run", {"embedded"}),
        ("status", {"embedded"}),
        ("tools", {"embedded", "dev"}),
        ("test", {"embedded", "dev"}),
        ("lint", {"embedded", "dev"}),
        ("benchmark", {"embedded", "benchmark"}),
        ("fuzz", {"embedded", "fuzz"}),
        ("release-check", {"embedded", "dev", "release"}),
    ],
)
def test_a_target_installs_what_it_needs_and_no_more(target, extras, tmp_path):
    done = make("-n", target, f"VENV={tmp_path}/venv")
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"-e '\.\[(\w+)\]'", done.stdout)) == extras


@pytest.fixture
def checkout(public_directory):
    """A folder in which everything is installed, and the program only says what it is given."""
    folder = Path(public_directory, "checkout")
    program = folder / ".venv/bin/oxidicom"
    program.parent.mkdir(parents=True)
    program.write_text(PRINT_STATE)
    program.chmod(0o755)
    (folder / "pyproject.toml").touch()
    (folder / ".venv/.installed").touch()
    return folder


@pytest.mark.parametrize("target", ["run", "status"])
def test_the_state_of_a_gateway_stands_below_the_checkout(checkout, target):
    done = make(target, cwd=checkout)
    assert done.stdout.partition("|")[2] == "embedded|./data|./data/.state|8080\n", done.stderr


@pytest.mark.parametrize("target", ["run", "status"])
def test_where_the_user_of_postgresql_cannot_enter_it_stands_elsewhere_and_is_said(checkout, target):
    need_root()
    checkout.chmod(0o700)
    done = make(target, cwd=checkout)
    assert done.stdout.partition("|")[2] == "embedded|./data|/var/lib/oxidicom|8080\n"
    assert f"nobody, who cannot enter {checkout}: database and history are in /var/lib/oxidicom" in done.stderr


def test_with_another_database_that_user_does_not_matter(checkout):
    checkout.chmod(0o700)
    done = make("run", cwd=checkout, CHRIS_DB_CONNECTION="host=here")
    assert (done.stdout.partition("|")[2], done.stderr) == ("host=here|./data|./data/.state|8080\n", "")


def test_where_nothing_can_be_made_no_command_is_begun(checkout):
    (checkout / "data").touch()
    done = make("status", cwd=checkout)
    assert done.returncode != 0
    assert done.stdout == ""


def test_what_the_environment_says_stays(checkout):
    checkout.chmod(0o700)
    given = {"CHRIS_DB_CONNECTION": "host=here", "CHRIS_FILES_ROOT": "/a", "STATE_DIRECTORY": "/b"}
    done = make("run", cwd=checkout, **given, CHRIS_HTTP_PORT="1")
    assert (done.stdout.partition("|")[2], done.stderr) == ("host=here|/a|/b|1\n", "")


def test_every_target_that_is_no_file_is_said_to_be_none():
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    named = {name for names in re.findall(r"^([a-z -]+):(?!=).*$", text, re.MULTILINE) for name in names.split()}
    assert named == set(phony.split())
