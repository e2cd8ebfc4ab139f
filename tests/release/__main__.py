"""`make release-check`: dist/ is built, looked at, installed as its users install it, and run with an image."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from oxidicom import __version__
from oxidicom.embedded.server import EmbeddedPostgres, conninfo_of_running
from oxidicom.settings import Settings
from tests.dicom import make_series, send
from tests.fixtures.gateway import Gateway
from tests.fixtures.postgres import read_rows
from tests.fresh.host import copy_project
from tests.steps import step as step_of
from tests.waiting import wait_until

step = partial(step_of, "release-check")
PROJECT = Path(__file__).parents[2]
DIST = PROJECT / "dist"
SCRIPTS = Path(sys.executable).parent
STRANGER = {
    "pyproject.toml": '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    '[project]\nname = "stranger"\nversion = "1"\n[tool.hatch.build.targets.wheel]\npackages = ["workers"]\n',
    "workers/__init__.py": 'raise ImportError("these are the workers of somebody else")\n',
}
"""A distribution with a package of the same name as one of ours."""


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="oxidicom-release-", dir="/var/tmp") as name:
        work = Path(name)
        work.chmod(0o755)  # for the account of PostgreSQL
        with step("wheel and source, twice"):
            build(work)
        with step("what is in them"):
            look_into()
        with step("installed by the lock files, with an image"):
            as_container_and_service(work / "locked", work / "first")
        with step("the software bill of materials"):
            write_sbom(work / "locked", work)
        with step("installed by pipx beside a package of the same name, with an image"):
            with_pipx(work / "pipx")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(DIST.iterdir())]
    (DIST / "SHA256SUMS").write_text("".join(sums))
    print(f"release-check: all of it works. {DIST} has\n{''.join(sums)}", end="")
    if ".dev" in __version__:
        print(f"It is no release yet: its version is {__version__} (docs/develop.md, Release).")


def build(work: Path) -> None:
    """Build with what the lock file of the builder names, from two copies and from the source that is released."""
    builder = work / "builder/bin/python"
    run(sys.executable, "-m", "venv", builder.parents[1])
    locked = PROJECT / "deploy/locks/build.txt"
    run(builder, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", locked)
    for name in ("first", "second"):
        copy_project(PROJECT, work / name)
        run(builder, "-m", "hatchling", "build", "-d", work / f"{name}-dist", cwd=work / name)
    shutil.copytree(work / "first-dist", DIST)
    (source,) = DIST.glob("*.tar.gz")
    run("tar", "-xzf", source, "-C", work)
    unpacked = work / source.name.removesuffix(".tar.gz")
    run(builder, "-m", "hatchling", "build", "-t", "wheel", "-d", work / "third-dist", cwd=unpacked)
    for other in (*(work / "second-dist").iterdir(), *(work / "third-dist").iterdir()):
        assert other.read_bytes() == (DIST / other.name).read_bytes(), f"{other.name} is another one each time"


def look_into() -> None:
    run(SCRIPTS / "twine", "check", "--strict", *DIST.iterdir())
    names = zipfile.ZipFile(wheel()).namelist()
    assert {name.split("/")[0] for name in names} == {"oxidicom", f"oxidicom-{__version__}.dist-info"}, names
    (source,) = DIST.glob("*.tar.gz")
    listed = subprocess.run(["tar", "-tzf", source], check=True, capture_output=True, text=True).stdout.split()
    unwanted = {"tests", "benchmarks", "fuzzing", "data"} & {name.split("/")[1] for name in listed}
    assert not unwanted, unwanted


def as_container_and_service(environment: Path, source: Path) -> None:
    python = environment / "bin/python"
    of_another_python(environment)
    run(source / "deploy/install", environment)
    run(python, "-m", "pip", "check")
    assert len([*environment.glob("lib/python*")]) == 1, "an environment of two Pythons"
    run(python, "-m", "pip", "install", "--quiet", stranger(environment.with_name("dropped")))
    run(source / "deploy/install", environment)
    run(python, "-m", "pip", "check")
    assert not [*environment.glob("lib/python3*/site-packages/stranger*")], "what the lock does not name stays"
    directory = environment.with_name("locked-gateway")
    directory.mkdir(mode=0o755)
    server = EmbeddedPostgres(str(directory / "postgres"))
    server.start()
    try:
        with running(environment / "bin/oxidicom", directory, server.conninfo) as gateway:
            send_one(gateway, lambda: server.conninfo)
    finally:
        server.stop()


def of_another_python(environment: Path) -> None:
    """Leave what a distribution leaves behind when it replaces its Python: programs that do not run, and packages."""
    (environment / "bin").mkdir(parents=True)
    for name in ("python", "python3"):
        (environment / "bin" / name).symlink_to("/usr/lib/gone/python3.9")
    (environment / "lib/python3.9/site-packages").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("home = /usr/lib/gone\nversion = 3.9.2\n")


def write_sbom(environment: Path, work: Path) -> None:
    """Let the tool describe the environment of the container and the service; it reads the version of ours there."""
    described = work / "pyproject.toml"
    text = (PROJECT / "pyproject.toml").read_text("utf-8")
    described.write_text(text.replace('dynamic = ["version"]', f'version = "{__version__}"'), "utf-8")
    path = DIST / f"oxidicom-{__version__}.cdx.json"
    command = [str(SCRIPTS / "cyclonedx-py"), "environment", str(environment / "bin/python")]
    run(*command, "--pyproject", described, "--output-reproducible", "--validate", "-o", path)
    found = json.loads(path.read_text())
    assert found["metadata"]["component"]["version"] == __version__
    assert "file:" not in path.read_text(), "it tells where it was made"
    asked = tomllib.loads(text)["project"]["dependencies"]
    assert len(found["components"]) > len(asked)
    assert all(component["purl"].startswith("pkg:pypi/") for component in found["components"])


def with_pipx(home: Path) -> None:
    """No clone is needed: the wheel has all, and the package `workers` of a stranger hurts nothing."""
    places = {"PIPX_HOME": f"{home}/home", "PIPX_BIN_DIR": f"{home}/bin", "PIPX_MAN_DIR": f"{home}/man"}
    variables = {**os.environ, **places}
    pipx = SCRIPTS / "pipx"
    run(pipx, "install", "--python", sys.executable, f"oxidicom[embedded] @ file://{wheel()}", env=variables)
    run(pipx, "inject", "oxidicom", stranger(home.with_name("stranger")), env=variables)
    directory = home.with_name("pipx-gateway")
    directory.mkdir(mode=0o755)
    with running(home / "bin/oxidicom", directory, "embedded") as gateway:
        settings = Settings.from_environment(gateway.environment)
        send_one(gateway, lambda: conninfo_of_running(settings.embedded_directory))


def stranger(directory: Path) -> Path:
    """Write the sources of the distribution of somebody else."""
    for name, text in STRANGER.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


@contextmanager
def running(program: Path, directory: Path, database: str) -> Iterator[Gateway]:
    gateway = Gateway(directory, database, new=True)
    gateway.command = [str(program)]
    said = gateway.run("--version").stdout.strip()
    assert said == f"oxidicom {__version__}", said
    try:
        gateway.start()
        yield gateway
        assert gateway.stop() == 0
    finally:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill_all()


def send_one(gateway, conninfo):
    (path,) = make_series(gateway.files_root.parent / "in", 1)
    (status,) = send(gateway.port, [path])
    assert status.Status == 0
    (row,) = wait_until(lambda: read_rows(conninfo()), "the row")
    assert gateway.stored() == [row["fname"]]
    wait_until(lambda: gateway.run("status", "--expect-running").returncode == 0, "all is well", every=0.5)


def wheel() -> Path:
    (path,) = DIST.glob("*.whl")
    return path


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a program to its end. Raise CalledProcessError."""
    subprocess.run(command, check=True, cwd=cwd, env=env, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"release-check: FAILED: {error}")
