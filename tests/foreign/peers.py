"""Who receives: the gateway with an embedded database, and DCMTK's storescp, the measure of what a client can send."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oxidicom.embedded.server import EmbeddedPostgres
from tests.fixtures.certificates import Authority
from tests.fixtures.gateway import Gateway, free_port
from tests.fixtures.postgres import read_rows
from tests.waiting import wait_until

_PASSWORD = "secret"


class Receiver:
    """A gateway that clients send to; what is registered is asked by calling AE title."""

    def __init__(self, gateway: Gateway, conninfo: str) -> None:
        self._gateway = gateway
        self._conninfo = conninfo
        self.port: int = gateway.port

    def rows(self, ae_title: str) -> dict[str, dict[str, object]]:
        """Return the rows of a calling AE title by SOP Instance UID, once everything is registered."""
        wait_until(lambda: not self._gateway.spooled(), "everything is registered", 120)
        rows = [row for row in read_rows(self._conninfo) if row["identifier"] == ae_title]
        return {row["fname"].rpartition("-")[2].removesuffix(".dcm"): row for row in rows}

    def path(self, row: dict[str, object]) -> Path:
        return Path(self._gateway.files_root, str(row["fname"]))


@contextmanager
def receivers(base: Path, certificates: Path) -> Iterator[tuple[Receiver, Receiver]]:
    """Run two gateways on one database: one without and one with TLS."""
    database = EmbeddedPostgres(str(base / "postgres"))
    database.start()
    tls = {
        "CHRIS_TLS_CERTIFICATE": str(certificates / "localhost.pem"),
        "CHRIS_TLS_KEY": str(certificates / "localhost.key"),
        "CHRIS_TLS_CLIENT_CA": str(certificates / "authority.pem"),
    }
    gateways = [
        Gateway(_directory(base / name), database.conninfo, CHRIS_LISTENER_THREADS="8", **variables)
        for name, variables in (("plain", {}), ("tls", tls))
    ]
    try:
        for gateway in gateways:
            gateway.start()
        yield Receiver(gateways[0], database.conninfo), Receiver(gateways[1], database.conninfo)
    finally:
        for gateway in gateways:
            if gateway.process and gateway.process.poll() is None:
                gateway.stop()
        database.stop()


@contextmanager
def storescp(directory: Path) -> Iterator[int]:
    """Run DCMTK's storescp, which keeps the bytes that it gets, and yield its port."""
    port = free_port()
    _directory(directory)
    command = ["storescp", "--fork", "+xa", "-pm", "+B", "-od", str(directory), str(port)]
    with (directory / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: _echoes(port), "storescp listens")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _echoes(port: int) -> bool:
    done = subprocess.run(["echoscu", "-to", "2", "localhost", str(port)], capture_output=True, timeout=20)
    return done.returncode == 0


def _directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def make_certificates(directory: Path) -> None:
    """Write an authority, a certificate of the gateway and one of the clients, and for Java the last two as stores."""
    authority = Authority(_directory(directory))
    authority.issue("localhost")
    authority.issue("client")
    trusted = ["-alias", "authority", "-file", "authority.pem", "-keystore", "authority.p12", "-storetype", "PKCS12"]
    pair = ["-in", "client.pem", "-inkey", "client.key", "-name", "client", "-out", "client.p12"]
    for command in (
        ["keytool", "-importcert", "-noprompt", *trusted, "-storepass", _PASSWORD],
        ["openssl", "pkcs12", "-export", *pair, "-passout", f"pass:{_PASSWORD}"],
    ):
        if shutil.which(command[0]):  # without it there is no Java either
            subprocess.run(command, cwd=directory, capture_output=True, timeout=60, check=True)
