"""Senders for the drills: they send series after series, and remember what was answered with Success."""

import os
import random
import threading

from pynetdicom import AE

from tests.dicom import contexts_of, leave_responses_to_the_caller, make_series
from tests.waiting import wait_until

IN_SERIES = 5


class Sender(threading.Thread):
    """Sends small series, each over an association of its own, to any of `ports`."""

    def __init__(self, ports, directory, number):
        super().__init__()
        self.ports, self._directory, self._number = list(ports), directory, number
        self._over = threading.Event()
        self._chance = random.Random(number)
        self.acknowledged = {}
        """SOP Instance UID → path."""
        self.successes = 0
        """Those that were sent again are counted again."""

    def run(self):
        count = 0
        while not self._over.is_set():
            count += 1
            self.send(*self.next_series(count))

    def next_series(self, count):
        """Return series UID and files of the next series."""
        series_uid = f"1.2.{self._number}.{count}"
        return series_uid, make_series(self._directory / f"{self._number}-{count}", IN_SERIES, series_uid)

    def send(self, series_uid, paths):
        entity = AE(f"SENDER{self._number}")
        entity.requested_contexts = contexts_of(paths)
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
        association = entity.associate("127.0.0.1", self._chance.choice(self.ports))
        leave_responses_to_the_caller(association)
        for number, path in enumerate(paths, 1):
            if not association.is_established:
                return
            status = association.send_c_store(os.fspath(path))
            if "Status" in status and status.Status == 0:
                self.acknowledged[f"{series_uid}.{number}"] = path
                self.successes += 1
        if association.is_established:
            association.release()

    def stop(self):
        self._over.set()
        self.join()


class Load:
    """Several senders at once; a context manager."""

    def __init__(self, senders):
        self._senders = senders

    def __enter__(self):
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_):
        for sender in self._senders:
            sender.stop()

    @property
    def acknowledged(self):
        return {uid: path for sender in self._senders for uid, path in sender.acknowledged.items()}

    def await_progress(self, count=4):
        """Wait until so many more instances are acknowledged."""
        before = self._successes
        wait_until(lambda: self._successes >= before + count, "progress", 60)

    @property
    def _successes(self):
        return sum(sender.successes for sender in self._senders)


def load(gateways, directory, senders=3):
    ports = [gateway.port for gateway in gateways]
    return Load([Sender(ports, directory, number) for number in range(senders)])
