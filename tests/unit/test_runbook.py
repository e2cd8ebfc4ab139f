"""docs/runbook.md has an entry for each alert and each reason of a judgement, and names nothing that does not exist."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from oxidicom.cli import command_tree

ROOT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((ROOT / "deploy/observability/alerts.yaml").read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"]]
TITLE, *ENTRIES = re.split(r"^## ", (ROOT / "docs/runbook.md").read_text(), flags=re.MULTILINE)


def heading_of(entry):
    return entry.partition("\n")[0]


def named(kind):
    """Return what the entries are about, as it stands in their second line, with the heading."""
    lines = {heading_of(entry): entry.split("\n")[2] for entry in ENTRIES}
    parts = [(heading, part) for heading, line in lines.items() for part in re.split(r"[;.] ?", line)]
    pairs = [(name, heading) for heading, part in parts if kind in part.lower() for name in re.findall("`(.+?)`", part)]
    assert len(dict(pairs)) == len(pairs), "named once"
    return dict(pairs)


def subjects():
    """Return the subjects of all reasons in the code."""
    files = [*ROOT.glob("oxidicom/judgement/*.py"), *ROOT.glob("oxidicom/operations/status*.py")]
    calls = [node for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return {ast.literal_eval(call.args[1]) for call in calls if getattr(call.func, "id", "") == "Reason"}


def test_every_reason_has_an_entry_and_every_entry_of_one_a_reason():
    assert named("reason").keys() == subjects()


def test_every_alert_leads_to_its_entry_and_every_entry_of_one_has_an_alert():
    anchors = {
        alert: f"docs/runbook.md#{heading.lower().replace(' ', '-')}" for alert, heading in named("alert").items()
    }
    assert anchors == {rule["alert"]: rule["annotations"]["runbook_url"] for rule in ALERTS}


@pytest.mark.parametrize("entry", ENTRIES, ids=heading_of)
def test_an_entry_says_what_is_seen_what_it_means_and_what_to_type(entry):
    order = [entry.index(part) for part in ("\n**You see**", "\n**It means**", "\n**Type**\n\n```sh\n")]
    assert order == sorted(order)


def test_every_command_to_be_typed_exists():
    blocks = "".join(re.findall(r"```sh\n(.*?)```", TITLE + "".join(ENTRIES), re.DOTALL))
    typed = [shlex.split(line, comments=True) for line in blocks.splitlines()]
    ours = [words[words.index("oxidicom") + 1 :] for words in typed if words[:2] == ["sudo", "oxidicom"]]
    assert len(ours) > 15
    for command, *rest in ours:
        options = {option for one in command_tree().commands[command].params for option in one.opts}
        assert {word for word in rest if word.startswith("--")} <= options


def test_links_within_the_page_lead_somewhere():
    anchors = {heading_of(entry).lower().replace(" ", "-") for entry in ENTRIES}
    assert set(re.findall(r"\]\(#(.+?)\)", "".join(ENTRIES))) <= anchors
