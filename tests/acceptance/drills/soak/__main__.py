"""`python -m tests.acceptance.drills.soak`: see `--help`. Its exit status is 1 when anything was lost."""

import argparse
import random
import sys
import tempfile

from tests.acceptance.drills.soak.site import Site
from tests.acceptance.drills.soak.soak import Soak
from tests.acceptance.drills.soak.verdict import LostError


def main() -> int:
    """Soak, judge, and say what came of it."""
    parser = argparse.ArgumentParser(
        prog="soak", description="Strike gateways under load, at random; judge at the end."
    )
    parser.add_argument("--kills", type=int, default=0, help="end after so many kills (0: there is no such end)")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="end after so many seconds (0: there is no such end)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="which blows fall in which order")
    parser.add_argument("--per-second", type=float, default=3.0, help="so many blows, if the machine can (3)")
    parser.add_argument("--gateways", type=int, default=3, help="on one storage and one database (3)")
    parser.add_argument("--directory", help="all of it stands in a new directory there, which is kept when it fails")
    wanted = parser.parse_args()
    if not (wanted.kills or wanted.seconds):
        wanted.kills = 300
    directory = tempfile.mkdtemp(prefix="oxi-soak-", dir=wanted.directory)
    print(f"seed {wanted.seed}, in {directory}", flush=True)
    site = Site(directory, wanted.gateways)

    def soak_and_judge(started: Site) -> str:
        soak = Soak(started, wanted.seed, wanted.per_second)
        soak.run(wanted.kills, wanted.seconds)
        return soak.judge()

    return site.attempt(soak_and_judge, LostError)


if __name__ == "__main__":
    sys.exit(main())
