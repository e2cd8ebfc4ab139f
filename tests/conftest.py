"""Fixtures are plugins by topic; this file only names them, and skips what needs a program that is not there."""

import os
import shutil

import pytest

from tests.powers import reason_against_tracing

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.folders",
    "tests.fixtures.certificates",
    "tests.fixtures.gateway",
    "tests.fixtures.storage",
    "tests.fixtures.shared",
    "tests.fixtures.orthanc",
    "tests.fixtures.pacs",
    "tests.fixtures.raw_pacs",
    "tests.fixtures.inquiry",
    "tests.fixtures.strace",
    "tests.fixtures.collector",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.nats",
    "tests.fixtures.browser",
    "tests.fixtures.logged",
]

_PROGRAMS = {
    "dcmtk": ("storescu", "dcmtk"),
    "orthanc": ("Orthanc", "orthanc"),
    "strace": ("strace", "strace"),
    "haproxy": ("haproxy", "haproxy"),
    "openssl": ("openssl", "openssl"),
    "pgbouncer": ("pgbouncer", "pgbouncer"),
    "nats": ("nats-server", "nats-server"),
    "systemd": ("systemd-analyze", "systemd"),
    "chromium": ("chromium", "chromium"),
    "promtool": ("promtool", "prometheus"),
    "groff": ("groff", "groff-base"),
    "shellcheck": ("shellcheck", "shellcheck"),
}


_MAX_LEFT_OPEN = 500


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the drills at their full length (make drills)")


@pytest.fixture(scope="session", autouse=True)
def few_descriptors():
    """No test leaves much open: pynetdicom waits by select(), which knows no descriptor beyond 1,023."""
    yield
    left = os.listdir("/proc/self/fd")
    assert len(left) < _MAX_LEFT_OPEN, f"{len(left)} descriptors are open at the end of the tests of this process"


@pytest.fixture
def long_drill(request):
    """Whether the drills run at their full length."""
    return request.config.getoption("--long")


def pytest_collection_modifyitems(items):
    reason = reason_against_tracing()
    for item in items:
        for marker, (program, package) in _PROGRAMS.items():
            if item.get_closest_marker(marker) and not shutil.which(program):
                item.add_marker(pytest.mark.skip(reason=f"{program} is missing: apt-get install {package}"))
        if reason and item.get_closest_marker("strace"):
            item.add_marker(pytest.mark.skip(reason=reason))
