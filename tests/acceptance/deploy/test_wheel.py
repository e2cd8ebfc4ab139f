"""The wheel: what it brings, that it is the same whoever builds it, and that it goes with packages of others."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.dicom import make_series, send
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]


def build(project, destination, umask=0o022, target="wheel"):
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(destination)]
    done = subprocess.run(command, cwd=project, umask=umask, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    (made,) = Path(destination).iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def test_it_has_one_package_and_nothing_of_the_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    (package, metadata) = sorted({name.split("/")[0] for name in names})
    assert package == "oxidicom"
    assert metadata.endswith(".dist-info")
    rooms = {name.split("/")[1] for name in names}
    assert "workers" in rooms
    assert not rooms & {"tests", "benchmarks", "fuzzing", "docs"}


def test_it_has_all_that_a_checkout_has(wheel):
    files = {
        str(path.relative_to(ROOT))
        for package in ("oxidicom", "workers")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    there = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in files if name not in there and f"oxidicom/{name}" not in there} == set()


def test_it_is_the_same_whoever_builds_it_where_and_when(wheel, tmp_path):
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, copy / name)
    for name in ("oxidicom", "workers"):
        shutil.copytree(ROOT / name, copy / name, copy_function=shutil.copyfile)
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    other = build(copy, tmp_path / "wheel", umask=0o077)
    assert (other.name, other.read_bytes()) == (wheel.name, wheel.read_bytes())


@pytest.fixture
def site_packages(wheel, tmp_path):
    """A directory with what the wheel installs, beside a package `workers` of somebody else."""
    directory = tmp_path / "site-packages"
    zipfile.ZipFile(wheel).extractall(directory)
    (directory / "workers").mkdir()
    (directory / "workers/__init__.py").write_text("raise ImportError('these are the workers of somebody else')\n")
    return directory


def test_a_gateway_works_beside_a_package_of_the_same_name(site_packages, make_gateway, rows, tmp_path):
    gateway = make_gateway(start=False, PYTHONPATH=str(site_packages))
    gateway.command = [sys.executable, "-P", "-m", "oxidicom"]  # -P: not the checkout, where the tests run
    gateway.start()
    (status,) = send(gateway.port, make_series(tmp_path / "in", 1))
    assert status.Status == 0
    wait_until(rows, "the row")
    assert gateway.run("check").returncode == 0
    loaded = "import sys, types; sys.modules['workers'] = types.ModuleType('workers'); "
    code = "from oxidicom import processes; processes.find_processes(); import workers; print(workers.__file__)"
    for one in (code, loaded + code):
        done = subprocess.run(
            [sys.executable, "-P", "-c", one], env=gateway.environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == str(site_packages / "oxidicom/workers/__init__.py"), done.stderr
