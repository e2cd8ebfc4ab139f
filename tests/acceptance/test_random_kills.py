"""Random kills under load: whatever was answered with Success is stored, byte for byte, and registered once."""

import os
import random
import signal
import threading

import pytest

from tests.dicom import contexts_of, dataset_bytes, make_series
from tests.waiting import wait_until

KILLS = 20


class Sender(threading.Thread):
    """Sends series after series, and remembers what was answered with Success."""

    def __init__(self, port, directory, number):
        super().__init__()
        self._port, self._directory, self._number = port, directory, number
        self._over = threading.Event()
        self.acknowledged = {}

    def run(self):
        count = 0
        while not self._over.is_set():
            count += 1
            series_uid = f"1.2.{self._number}.{count}"
            self._send(make_series(self._directory / f"{self._number}-{count}", 5, series_uid))

    def _send(self, paths):
        from pynetdicom import AE

        entity = AE(f"SENDER{self._number}")
        entity.requested_contexts = contexts_of(paths)
        association = entity.associate("127.0.0.1", self._port)
        for path in paths:
            if not association.is_established:
                break
            status = association.send_c_store(os.fspath(path))
            if "Status" in status and status.Status == 0:
                self.acknowledged[f"{path.parent.name}/{path.stem}"] = path
        if association.is_established:
            association.release()

    def stop(self):
        self._over.set()
        self.join()


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of pynetdicom
def test_nothing_that_was_acknowledged_is_lost_in_random_kills(make_gateway, rows, tmp_path):
    chance = random.Random(4711)
    gateway = make_gateway()
    senders = [Sender(gateway.port, tmp_path, number) for number in range(3)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(KILLS):
            before = sum(len(sender.acknowledged) for sender in senders)
            wait_until(lambda: sum(len(s.acknowledged) for s in senders) > before + 3, "progress", 60)  # noqa: B023
            kill_somebody(gateway, chance)
    finally:
        for sender in senders:
            sender.stop()
    sent = {path for sender in senders for path in sender.acknowledged.values()}
    wait_until(lambda: not gateway.spooled(), "nothing is left in the spool", 60)
    found = rows()
    assert len({row["fname"] for row in found}) == len(found)
    assert sorted(row["fname"] for row in found) == gateway.stored()
    by_uid = {row["fname"].rpartition("-")[2].removesuffix(".dcm"): gateway.files_root / row["fname"] for row in found}
    for path in sent:
        uid = f"1.2.{path.parent.name.replace('-', '.')}.{path.stem}"
        assert dataset_bytes(by_uid[uid]) == dataset_bytes(path)
    metadata_is_right(found, rows(metadata=True))


def kill_somebody(gateway, chance):
    """One child, or sometimes the supervisor, or everybody at once."""
    throw = chance.random()
    if throw < 0.1:
        gateway.kill()
        gateway.start()
    elif throw < 0.2:
        gateway.kill_all()
        gateway.start()
    else:
        children = gateway.children()
        if children:
            os.kill(chance.choice(children), signal.SIGKILL)


def metadata_is_right(found, metadata):
    """Each association has both rows of each of its series, the count last; the counts cover the files."""
    by_directory = {}
    for row in metadata:
        directory, _, name = row["fname"].rpartition("/")
        by_directory.setdefault(directory, []).append(name)
    for names in by_directory.values():
        assert [name.split("=")[0] for name in names] == [
            "NumberOfSeriesRelatedInstances",
            "OxidicomAttemptedPushCount",
        ]
    counted = sum(int(names[1].split("=")[1]) for names in by_directory.values())
    assert counted >= len(found)
