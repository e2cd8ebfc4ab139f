"""What docs/migration.md and docs/security.md say: rights, variables and commands are those of the code."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from oxidicom import cli
from oxidicom.cube import folders
from oxidicom.cube.flat import Flat
from oxidicom.cube.folders_statements import Columns
from oxidicom.cube.rights import grants
from oxidicom.former_variables import FORMER_VARIABLES
from oxidicom.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
MIGRATION = (DOCS / "migration.md").read_text()
FOLDERS = folders.Folders(Columns(active=True, deletion=True, may_lock=True, has_group=True))
OF_PROGRESS = {"NATS_ADDRESS", "NATS_CREDENTIALS", "PROGRESS_INTERVAL", "ROOT_SUBJECT"}


@pytest.mark.parametrize("page", ["migration.md", "security.md"])
def test_the_rights_are_those_that_are_needed(page):
    text = (DOCS / page).read_text()
    for grant in (
        *grants(Flat.rights),
        *grants(FOLDERS.rights),
        *grants(FOLDERS.useful_rights),
    ):
        assert f"{grant} TO oxidicom;" in text


def test_every_variable_of_the_page_is_one():
    known = {str(field.alias) for field in Settings.model_fields.values()} | FORMER_VARIABLES.keys()
    named = re.findall(r"`(?:…|OXIDICOM_|CHRIS_)([A-Z][A-Z_]+)", MIGRATION)
    assert len(named) > 20
    assert {name for name in named if f"CHRIS_{name}" not in known} - OF_PROGRESS == {"PORT", "LISTENER_PORT"}


def test_every_former_variable_of_a_release_is_told():
    before_release = {"CHRIS_SCP_THREADS", "CHRIS_PACS_NAME"}
    for name in FORMER_VARIABLES.keys() - before_release:
        assert name in MIGRATION or name.replace("CHRIS_", "…") in MIGRATION


def test_every_command_of_the_page_exists():
    commands = getattr(get_command(cli._app), "commands")  # noqa: B009 (its type does not tell that it is a group)
    for name, options in re.findall(r"oxidicom\s+(check|status|retry|reconcile)((?:\s+--[a-z-]+)*)", MIGRATION):
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(options.split()) <= known
