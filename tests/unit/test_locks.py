"""The lock files say what pyproject.toml asks for, exactly, and nothing of where they were made: else `make lock`."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ASKED_FOR = {"gateway": PROJECT["project"]["dependencies"], "build": PROJECT["build-system"]["requires"]}
PYTHONS = ["3.11", "3.12", "3.13"]


def text_of(lock):
    return (ROOT / f"deploy/locks/{lock}.txt").read_text()


def pins_of(lock):
    """Return each line that names a package, the hashes and remarks below it included."""
    lines = [line for line in text_of(lock).splitlines(keepends=True) if not line.startswith("#")]
    return re.findall(r"^\S.*\n(?: .*\n)*", "".join(lines), re.MULTILINE)


def pinned(lock):
    return [Requirement(pin.partition(" \\\n")[0]) for pin in pins_of(lock)]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", ASKED_FOR)
def test_what_is_asked_for_is_pinned_to_a_version_that_will_do(lock, python):
    here = {"python_version": python, "sys_platform": "linux", "platform_python_implementation": "CPython"}
    versions = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pinned(lock)
        if pin.marker is None or pin.marker.evaluate(here)
    }
    for requirement in map(Requirement, ASKED_FOR[lock]):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("lock", ASKED_FOR)
def test_each_package_has_one_version_and_hashes_and_nothing_says_from_where(lock):
    assert pins_of(lock)
    for pin, requirement in zip(pins_of(lock), pinned(lock), strict=True):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), pin
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin), pin
        assert not requirement.url
    assert not re.search(r"https?:|--(?!hash)|^-", text_of(lock), re.MULTILINE)


def test_nothing_is_pinned_that_nothing_asks_for():
    asked = {canonicalize_name(Requirement(text).name) for text in ASKED_FOR["gateway"]}
    pins = {
        canonicalize_name(requirement.name): pin
        for requirement, pin in zip(pinned("gateway"), pins_of("gateway"), strict=True)
    }
    by_us = {name for name, pin in pins.items() if "oxidicom (pyproject.toml)" in pin}
    assert by_us == asked
    for name, pin in pins.items():
        askers = re.findall(r"# +(?:via )?(\S+)(?: \(pyproject\.toml\))?$", pin.replace("# via\n", ""), re.MULTILINE)
        assert askers, name
        assert {*map(canonicalize_name, askers)} <= {*pins, "oxidicom"}, name


def test_the_page_of_licences_names_what_is_locked():
    told = (ROOT / "docs/licences.md").read_text().partition("## Of the gateway")[2].partition("\n## ")[0]
    named = {canonicalize_name(name): version for name, version in re.findall(r"^\| (\S+) \| (\d\S*) \|", told, re.M)}
    here = {"sys_platform": "linux", "platform_python_implementation": "CPython", "implementation_name": "cpython"}
    assert named == {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pinned("gateway")
        if pin.marker is None or pin.marker.evaluate(here)
    }
