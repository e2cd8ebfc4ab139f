"""The reserve: how much of the storage stays free."""

import os

import pytest

from oxidicom.errors import DatasetError
from oxidicom.storage.reserve import Reserve


def space(total_bytes, free_bytes, free_inodes=10**6):
    """Return what statvfs says of such a filesystem."""
    return os.statvfs_result((4096, 4096, total_bytes // 4096, 0, free_bytes // 4096, 10**7, 0, free_inodes, 0, 255))


@pytest.mark.parametrize(("total", "reserve"), [(10 << 30, (10 << 30) // 100), (10 << 40, 1 << 30)])
def test_by_default_it_is_1_gib_or_1_percent_whichever_is_less(total, reserve):
    assert Reserve("/", None).bytes_of(space(total, 0)) == pytest.approx(reserve, rel=1e-6)


@pytest.mark.parametrize(
    ("free_bytes", "free_inodes", "refused"),
    [(1 << 20, 10**6, False), ((1 << 20) - 4096, 10**6, True), (1 << 30, 999, True), (1 << 30, 1000, False)],
)
def test_below_it_no_instance_is_taken(free_bytes, free_inodes, refused, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: space(1 << 40, free_bytes, free_inodes))
    reserve = Reserve("/", 1 << 20)
    if refused:
        with pytest.raises(DatasetError) as caught:
            reserve.check()
        assert caught.value.status == 0xA700
    else:
        reserve.check()


def test_a_reserve_of_0_lets_the_disk_fill_up(monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: space(1 << 40, 0, 0))
    Reserve("/", 0).check()


def test_it_is_looked_at_again_when_the_credit_is_used_up(monkeypatch):
    free = [1 << 30]
    looks = []
    monkeypatch.setattr(os, "statvfs", lambda _: looks.append(1) or space(1 << 40, free[0]))
    reserve = Reserve("/", 0)
    for _ in range(100):
        reserve.use(64 * 1024)
    assert 1 < len(looks) < 10, "4 MiB at a time"
    free[0] = 0
    reserve._reserve_bytes = 1 << 20
    with pytest.raises(DatasetError):
        for _ in range(100):
            reserve.use(64 * 1024)
