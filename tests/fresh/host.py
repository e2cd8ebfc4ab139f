"""What the host knows and a fresh machine must be told: where packages come from, and whom to trust for them."""

import ast
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

_INDEX_TARGETS = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class Source(NamedTuple):
    """Where apt finds packages of Debian."""

    address: str
    release: str
    component: str


def debian_sources() -> list[Source]:
    """Return the sources of Debian that this host's apt has indexes of, its release first. Raise SystemExit if none."""
    listed = _output(*_INDEX_TARGETS, "Created-By: Packages", "Origin: Debian")
    found = list(dict.fromkeys(Source(*line.split()) for line in listed.splitlines()))
    if not found:
        raise SystemExit("test-fresh: apt has no indexes of Debian here: apt-get update")
    return sorted(found, key=lambda source: (len(source.release), source.component != "main"))


def hand_over_apt(machine: Path) -> None:
    """Let apt of the machine take its packages where this host takes them, by the same way."""
    lines = [f"deb {source.address} {source.release} {source.component}\n" for source in debian_sources()]
    (machine / "etc/apt/sources.list").write_text("".join(lines))
    settings = [line for line in _output("apt-config", "dump").splitlines() if line.startswith("Acquire::http")]
    (machine / "etc/apt/apt.conf.d/80host").write_text("\n".join(settings) + "\n")
    for name in ("resolv.conf", "hosts"):
        shutil.copyfile(Path("/etc", name), machine / "etc" / name)


def hand_over_pip(machine: Path) -> None:
    """Let pip of the machine take its packages where this host's takes them: its settings, and the files they name."""
    lines = []
    for line in _output("python3", "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        lines.append(f"{name.rpartition('.')[2]} = {(text := str(ast.literal_eval(value)))}\n")
        for path in map(Path, text.split()):
            if path.is_absolute() and path.exists():
                _copy(path, machine / path.relative_to("/"))
    (machine / "etc/pip.conf").write_text("".join(["[global]\n", *dict.fromkeys(lines)]))


def proxies() -> list[str]:
    """Return the variables by which programs here find a proxy, as `env` takes them."""
    return [f"{name}={os.environ[name]}" for name in _PROXIES if name in os.environ]


def copy_project(source: Path, destination: Path) -> None:
    """Copy what a clone of the project has, changes that are not committed included."""
    listed = subprocess.run(
        ["git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (source / name).exists():  # else it is removed, and that is not committed
            _copy(source / name, destination / name)


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, destination, dirs_exist_ok=True)
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, destination)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
