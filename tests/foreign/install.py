"""Fetches the foreign clients into a directory of their own. What cannot be had is one line, and no error.

Debian's packages are installed by root only. Everything is bounded in time: the Rust programs take minutes to build.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.foreign.clients import DICOM_RS

_HERE = Path(__file__).parent
_DEBIAN = {"dcmsend": "dcmtk", "gdcmscu": "libgdcm-tools", "odil": "odil", "send_image": "ctn"}
_DCMJS = "dcmjs-dimse@0.3.3"
_DCM4CHE = "dcmfetch==0.3.2"
"""A package of PyPI that brings a program of dcm4che, and in it the network library."""
_DCM4CHE_JAR = "dcmfetch/ext/getscu"
_BUILD_SECONDS = 1800
_FETCH_SECONDS = 300


class InstallError(Exception):
    """A client cannot be had."""


def install(directory: Path, say: Callable[[str], None]) -> None:
    """Fetch what is not there yet; `say` gets a line for each client that cannot be had."""
    directory.mkdir(exist_ok=True)
    _attempt(say, "Debian's clients", _install_debian)
    _attempt(say, "dcmjs-dimse", lambda: _install_dcmjs(directory / "dcmjs"))
    _attempt(say, "dcm4che", lambda: _install_dcm4che(directory / "dcm4che"))
    for version in DICOM_RS:
        _attempt(say, f"dicom-rs {version}", partial(_install_dicom_rs, directory, version))


def _attempt(say: Callable[[str], None], name: str, action: Callable[[], None]) -> None:
    try:
        action()
    except (InstallError, OSError) as error:
        say(f"{name}: not installed: {error}")


def _run(seconds: float, *command: str | Path) -> None:
    """Run a command at low priority. Raise InstallError with the last thing that it said."""
    if not shutil.which(str(command[0])):
        raise InstallError(f"{command[0]} is missing")
    try:
        done = subprocess.run(
            ["nice", *map(str, command)], capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"{command[0]} took longer than {seconds:g} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise InstallError(f"{command[0]}: {said[-1] if said else done.returncode}")


def _install_debian() -> None:
    missing = sorted({package for program, package in _DEBIAN.items() if not shutil.which(program)})
    if not missing:
        return
    if os.geteuid() != 0:
        raise InstallError(f"as root: apt-get install {' '.join(missing)}")
    for package in missing:
        _run(_FETCH_SECONDS, "apt-get", "install", "-y", "-q", "--no-install-recommends", package)


def _install_dcmjs(directory: Path) -> None:
    if not (directory / "node_modules" / "dcmjs-dimse").exists():
        directory.mkdir(exist_ok=True)
        _run(_FETCH_SECONDS, "npm", "install", "--silent", "--ignore-scripts", "--prefix", directory, _DCMJS)


def _install_dcm4che(directory: Path) -> None:
    if (directory / "StoreScu.class").exists():
        return
    directory.mkdir(exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run(_FETCH_SECONDS, *pip, "install", "--no-deps", "--target", directory / "package", _DCM4CHE)
    jar = directory / "dcm4che.jar"
    shutil.copy(directory / "package" / _DCM4CHE_JAR, jar)
    source = _HERE / "dcm4che" / "StoreScu.java"
    _run(_FETCH_SECONDS, "javac", "-nowarn", "-Xlint:none", "-cp", jar, "-d", directory, source)


def _install_dicom_rs(directory: Path, version: str) -> None:
    root = directory / f"dicom-rs-{version}"
    if (root / "bin" / "dicom-storescu").exists():
        return
    # The older one cannot be built without its default features.
    features = ["--no-default-features", "--features", "tls"] if version == DICOM_RS[0] else []
    options = ["--version", version, *features, "--jobs", "2", "--target-dir", str(directory / "cargo-target")]
    _run(_BUILD_SECONDS, "cargo", "install", "--quiet", "--locked", "dicom-storescu", *options, "--root", root)
