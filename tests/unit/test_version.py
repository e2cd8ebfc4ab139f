"""The version stands in one place, and whatever else names it agrees."""

import re
from pathlib import Path

from oxidicom import __version__

ROOT = Path(__file__).parents[2]
RELEASE = __version__.partition(".dev")[0]
HEADINGS = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_newest_changes_are_those_of_this_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev0)?", __version__)
    if __version__ == RELEASE:
        assert re.fullmatch(rf"{re.escape(RELEASE)} \(\d{{4}}-\d\d-\d\d\)", HEADINGS[0])
    else:
        assert HEADINGS[0] == f"Unreleased ({RELEASE})"


def test_each_version_that_was_released_has_left_a_spool_to_upgrade_from():
    released = [heading.split()[0] for heading in HEADINGS if not heading.startswith("Unreleased")]
    assert released
    kept = [path.name.removesuffix(".tar.gz") for path in (ROOT / "tests/acceptance/spools").glob("*.tar.gz")]
    assert sorted(kept) == sorted(released)


def test_the_example_of_an_image_is_of_this_version():
    assert re.findall(r"/oxidicom:(\S+)", (ROOT / "deploy/kubernetes/oxidicom.yaml").read_text()) == [RELEASE]
