"""Fixtures are plugins by topic; this file only names them, and skips what needs a program that is not there."""

import shutil

import pytest

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.gateway",
    "tests.fixtures.storage",
    "tests.fixtures.orthanc",
]

_PROGRAMS = {"dcmtk": ("storescu", "dcmtk"), "orthanc": ("Orthanc", "orthanc"), "strace": ("strace", "strace")}


def pytest_collection_modifyitems(items):
    for item in items:
        for marker, (program, package) in _PROGRAMS.items():
            if item.get_closest_marker(marker) and not shutil.which(program):
                item.add_marker(pytest.mark.skip(reason=f"{program} is missing: apt-get install {package}"))
