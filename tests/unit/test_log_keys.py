"""The keys and actions of log lines are those that docs/log.md lists: whoever searches a log can rely on it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TREES = [
    ast.parse(path.read_text()) for directory in ("oxidicom", "workers") for path in ROOT.glob(f"{directory}/**/*.py")
]
CALLS = [node for tree in TREES for node in ast.walk(tree) if isinstance(node, ast.Call)]
OF_EACH_LINE = {"time", "level", "message", "role"}
NOT_KEYS = {"remedy", "waits", "what"}
"""Of `Outage.goes_on`, which writes them in its own way."""


def called(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def keywords(call):
    return {keyword.arg for keyword in call.keywords if keyword.arg}


def keys_in_the_code():
    keys = {"count"}  # of Repetitions
    for call in CALLS:
        if "action" in keywords(call) or called(call) == "bind":
            keys |= keywords(call)
        elif called(call) in ("goes_on", "is_over"):
            keys |= keywords(call) - NOT_KEYS
        for node in (call, *ast.walk(call)):
            if isinstance(node, ast.Dict) and "action" in (texts := {getattr(key, "value", None) for key in node.keys}):
                keys |= {text for text in texts if text}
    return keys | {"remedy"}


def actions_in_the_code():
    actions = set()
    for call in CALLS:
        for keyword in call.keywords:
            if keyword.arg == "action" and isinstance(keyword.value, ast.Constant):
                actions.add(keyword.value.value)
        first = str(getattr(call.args[0], "value", "")) if call.args else ""
        if called(call) == "Outage":
            actions |= {f"{first}_unavailable", f"{first}_available"}
        if called(call) == "SettingAside":
            actions.add(getattr(call.args[3], "value", ""))
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if getattr(key, "value", "") == "action" and isinstance(value, ast.Constant):
                        actions.add(value.value)
    return actions


def listed(heading):
    text = (ROOT / "docs/log.md").read_text()
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}


def test_all_keys_are_listed_and_no_others():
    assert listed("Keys") == keys_in_the_code() | OF_EACH_LINE


def test_all_actions_are_listed_and_no_others():
    assert listed("Actions") == actions_in_the_code()
