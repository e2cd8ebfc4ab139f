"""The tables of docs/licences.md, of what the packages say of themselves: `make lock` writes them anew."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs/licences.md"
_FIRST = "## Of the gateway\n\n| package | version | licence |\n|---|---|---|"
_SECOND = "\n## Of the extra `embedded`, besides, in whichever version is newest\n\n| package | licence |\n|---|---|"


def main() -> None:
    """Install what the lock files say, then the extra `embedded`, and write who has which licence."""
    with tempfile.TemporaryDirectory() as work:
        python = Path(work, "gateway/bin/python")
        subprocess.run([PROJECT / "deploy/install", python.parents[1]], check=True)
        gateway = _licences(python)
        extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *extras["embedded"]], check=True)
        embedded = {name: row for name, row in _licences(python).items() if name not in gateway}
        unlocked = [re.sub(r"^(\| \S+) \| \S+", r"\1", row) for row in embedded.values()]
    told = PAGE.read_text("utf-8").partition(_FIRST)[0]
    tables = [_FIRST, *gateway.values(), _SECOND, *unlocked]
    PAGE.write_text(told + "\n".join(tables) + "\n", "utf-8")


def _licences(python: Path) -> dict[str, str]:
    """Return a line of the table for each package that an environment has, but for ours and what installs others."""
    command = [str(Path(sys.executable).parent / "pip-licenses"), "--python", str(python), "--format=json"]
    ignored = ["--ignore-packages", "oxidicom", "pip", "setuptools"]
    listed = json.loads(subprocess.run([*command, *ignored], check=True, capture_output=True, text=True).stdout)
    return {one["Name"]: f"| {one['Name']} | {one['Version']} | {one['License']} |" for one in listed}


if __name__ == "__main__":
    main()
