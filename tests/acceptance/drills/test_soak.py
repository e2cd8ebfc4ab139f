"""A short soak, and whether its verdict can be another one."""

import random

import pytest

from tests.acceptance.drills.soak.site import Site
from tests.acceptance.drills.soak.soak import Soak
from tests.acceptance.drills.soak.verdict import LostError


@pytest.mark.timeout(3600)
def test_nothing_is_lost_in_a_soak_and_what_is_missing_is_noticed(long_drill, public_directory, capsys):
    """300 kills, or 25 in short, of two gateways on one storage and one database."""
    site = Site(f"{public_directory}/soak", 2)
    try:
        soak = Soak(site.start(), random.randrange(1 << 32), per_second=2)
        soak.run(kills=300 if long_drill else 25, seconds=0)
        assert soak.judge()
        assert soak.acknowledged
        stored = next(iter(site.files_root.glob("SERVICES/PACS/BENCHMARK/**/*.dcm")))
        stored.write_bytes(b"something else")
        with pytest.raises(LostError, match="is not what was sent"):
            soak.judge()
        stored.unlink()
        with pytest.raises(LostError, match="rows without files"):
            soak.judge()
    finally:
        site.remove()
    assert "kills" in capsys.readouterr().out
