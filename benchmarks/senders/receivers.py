"""Who receives: this gateway with its defaults, and its peers without what the other benchmark tells them for speed."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.database import DatabaseServer
from benchmarks.gateway import Gateway
from benchmarks.peers import PEERS, Orthanc, Peer
from benchmarks.server import Server
from benchmarks.workloads import DCMTK, DICOM_RS, GATEWAY, ORTHANC, PYNETDICOM

RECEIVERS = (GATEWAY, DCMTK, ORTHANC, DICOM_RS, PYNETDICOM)


def receivers_with(database: DatabaseServer) -> list[Server]:
    """Return all receivers in the order of the table."""
    servers: Sequence[Server] = (Gateway(database), *map(_untuned, PEERS))
    return sorted((one for one in servers if one.name in RECEIVERS), key=lambda one: RECEIVERS.index(one.name))


def _untuned(peer: Server) -> Server:
    return replace(peer, environment={}) if isinstance(peer, Peer | Orthanc) else peer
