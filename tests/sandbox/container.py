"""The gateway as in its container, where no container engine is at hand.

The steps of the Containerfile install it; then an unprivileged user runs it with all that can be written to hidden
from it but two directories, as `read_only: true` and the volumes of compose.yaml have it. There is no `/tmp` either.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fixtures.gateway import Gateway

UID = 10001
"""The user of the Containerfile."""
AS_USER = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
_ROOT = Path(__file__).parents[2]
_READ_ONLY = """
mount --make-rprivate /
data=$1; state=$2; shift 2
mount --bind "$data" "$data"
mount --bind "$state" "$state"
while read -r _ _ _ _ point _; do
    case "$point" in
        "$data" | "$state" | /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) ;;
        *) mount -o remount,ro,bind "$point" || exit 9 ;;
    esac
done </proc/self/mountinfo
exec "$@"
"""
"""What a kernel shows of itself stays as it is: a container gets its own. The mounts go with the process."""


def why_not() -> str:
    """Return why root can make no such container here, or nothing."""
    if _python() is None:
        return f"user {UID} can run no Python that makes virtual environments here: apt-get install python3-venv"
    return ""


def install(directory: Path) -> Path:
    """Install the gateway below `directory`, as the Containerfile does. Return its program."""
    source, tree = directory / "src", directory / "opt"
    source.mkdir()
    for name in copied():
        place = source / name
        place.parent.mkdir(exist_ok=True)
        if (_ROOT / name).is_dir():
            shutil.copytree(_ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(_ROOT / name, place)
    _run(str(source / "deploy/install"), str(tree), str(_python()))
    return tree / "bin/oxidicom"


def copied() -> list[str]:
    """Return the files and folders of the project that the image is built of."""
    text = (_ROOT / "Containerfile").read_text()
    return [name for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for name in line.split()]


def variables() -> dict[str, str]:
    """Return the environment that the image gives a gateway."""
    text = (_ROOT / "Containerfile").read_text()
    return dict(pair.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for pair in line.split())


def confine(gateway: Gateway, program: Path) -> None:
    """Let a gateway that is not started yet be `program`, as user 10001, with nothing but its volumes to write to."""
    state = Path(gateway.environment["STATE_DIRECTORY"])
    state.mkdir(exist_ok=True)
    for path in (state, gateway.files_root, *gateway.files_root.rglob("*")):
        os.chown(path, UID, UID)
    gateway.command = [
        *("unshare", "--mount", "sh", "-c", _READ_ONLY, "sh"), str(gateway.files_root), str(state),
        *AS_USER, str(program),
    ]  # fmt: skip
    volumes = {"/data": str(gateway.files_root), "/state": str(state)}
    gateway.environment |= {name: volumes[value] for name, value in variables().items() if value in volumes}
    gateway.environment["HOME"] = "/home/oxidicom"  # which an engine sets, and which is not there


def _python() -> str | None:
    ours = getattr(sys, "_base_executable", sys.executable)
    return next((one for one in (ours, "/usr/bin/python3") if _serves_everybody(one)), None)


def _serves_everybody(python: str) -> bool:
    """Tell whether the user of the container can run a Python, with venv and of a version that will do."""
    code = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    done = subprocess.run([*AS_USER, "env", python, "-c", code], cwd="/", capture_output=True, check=False)
    return done.returncode == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
