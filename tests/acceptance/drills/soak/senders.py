"""Who sends: a few C-STORE users that connect again and again, and DCMTK's `storescu`. They remember every Success."""

import contextlib
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.datasets import Content, Identity, templates_of
from benchmarks.errors import BenchmarkError
from benchmarks.message import Message
from benchmarks.requestor import Requestor
from oxidicom.dataset.part10 import build_file_meta
from tests.acceptance.drills.test_many import dataset_of

IN_SERIES = 4
_PAUSE_SECONDS = 0.2
"""After an association that failed, and between two."""


def template():
    """Return what all instances are made of."""
    (one,) = templates_of(Content.SMALL_EXPLICIT)
    return one


class Sender(threading.Thread):
    """Sends series after series, each over an association of its own, to any of `ports`, until it is told to end."""

    def __init__(self, ports: Sequence[int], number: int, seed: int) -> None:
        """`number` tells its instances from those of others."""
        super().__init__(daemon=True)
        self._ports = ports
        self._number = number
        self._chance = random.Random(seed * 100 + number)
        self._over = threading.Event()
        self.acknowledged: list[Identity] = []
        self.attempted = 0
        self._template = template()

    def run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(BenchmarkError, OSError, AssertionError, subprocess.TimeoutExpired):
                self.send(self._chance.choice(self._ports), list(self._next_series()))
            time.sleep(_PAUSE_SECONDS)

    def _next_series(self) -> Iterator[Identity]:
        for _ in range(IN_SERIES):
            yield Identity(1, self._number, self.attempted, IN_SERIES)
            self.attempted += 1

    def send(self, port: int, series: Sequence[Identity]) -> None:
        requestor = Requestor(port, self._template.sop_class_uid, self._template.transfer_syntax_uid)
        try:
            message = Message(self._template, requestor.max_pdu_bytes)
            for number, identity in enumerate(series, 1):
                message.address(identity, number)
                requestor.store(message, number)
                self.acknowledged.append(identity)
            if self._chance.random() < 0.9:
                requestor.release()
        finally:
            requestor._connection.close()

    def stop(self) -> None:
        """End after the association that is under way."""
        self._over.set()


class Storescu(Sender):
    """The same with DCMTK's program, which reads its files from a directory."""

    def send(self, port: int, series: Sequence[Identity]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            paths = [self._write(Path(directory), identity) for identity in series]
            command = ["storescu", "-v", "-aet", "BENCHMARK", "-to", "20", "-td", "20", "-ta", "20", "-xe"]
            done = subprocess.run(
                [*command, "127.0.0.1", str(port), *map(str, paths)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        answers = [line for line in (done.stdout + done.stderr).splitlines() if "Received Store Response" in line]
        for identity, answer in zip(series, answers, strict=False):
            if "(Success)" in answer:
                self.acknowledged.append(identity)

    def _write(self, directory: Path, identity: Identity) -> Path:
        meta = build_file_meta(
            sop_class_uid=self._template.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
            transfer_syntax_uid=self._template.transfer_syntax_uid,
            calling_ae_title="BENCHMARK",
            our_ae_title="ChRIS",
        )
        path = directory / f"{identity.number}.dcm"
        path.write_bytes(meta + dataset(identity))
        return path


def dataset(identity: Identity) -> bytes:
    """Return the dataset of an instance, as it is sent and must be stored."""
    message = Message(template(), 1 << 20)
    message.address(identity, 1)
    return dataset_of(message)


def senders(ports: Sequence[int], count: int, seed: int) -> list[Sender]:
    """Return so many senders, one of them DCMTK's if it is installed."""
    kinds = [Storescu if number == 0 and shutil.which("storescu") else Sender for number in range(count)]
    return [kind(ports, number, seed) for number, kind in enumerate(kinds)]
