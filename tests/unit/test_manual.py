"""The manual page has every command, option and setting, and is sound roff."""

import re
import subprocess

import pytest

from oxidicom.cli import command_tree
from oxidicom.manual import manual
from oxidicom.settings import Settings


def test_every_command_option_and_setting_is_there():
    page = manual().replace("\\-", "-")
    commands = command_tree().commands
    named = {"serve", "check", "settings", "status", "retry", "discard", "reconcile", "send-test", "top", "log"}
    assert named <= commands.keys()
    for name, command in commands.items():
        section = page.partition(f".SS {name}\n")[2].partition("\n.S")[0]
        assert " ".join(command.help.split("\n\n")[0].split()) in section
        own = [one for one in command.params if one not in command_tree().params and one.name != "env_file"]
        assert re.findall(r"\.TP\n\\fB(--[a-z-]+)", section) == [one.opts[0] for one in own]
    settings = re.findall(r"^\\fB([A-Z][A-Z_]+)\\fR\n", page, re.MULTILINE)
    assert sorted(settings) == sorted(str(field.alias) for field in Settings.model_fields.values())
    assert "--env-file FILE" in page


@pytest.mark.groff
def test_groff_has_no_complaint():
    command = ["groff", "-man", "-Tutf8", "-P-cbou", "-ww"]
    done = subprocess.run(command, input=manual(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CHRIS_SCP_ALLOWED_AETS" in done.stdout
