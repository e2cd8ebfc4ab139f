"""Hostile names in datasets that come over the wire: they are stored inside their tree, or refused."""

import struct

import pytest

from tests.acceptance.network.wire import ACCEPTED, DATA, RELEASED, Wire
from tests.dicom import make_series, send
from tests.unit.association.association_peer import CT, EXPLICIT, INSTANCE, RELEASE_RQ, store_rq
from tests.unit.dataset.dataset_bytes import MR_BRAIN, element
from tests.unit.spool.test_hostile_names import NASTY, TAGS
from tests.waiting import wait_until

KEYWORDS = ["PatientID", "PatientName", "StudyDescription", "SeriesDescription", "SeriesNumber", "InstanceNumber"]
AE_TITLES = [b"TEST", b"../../..", b"/etc/", b"a/../b", b".\0./", b"..\\..\\", b"\xff\xfe/\n\x1b"]


def hostile_dataset(instance_uid, keyword, value):
    """Encode the example with one value replaced by any bytes; what is too long for a short length is UT."""
    values = {name: text.encode() for name, text in MR_BRAIN.items()}
    values |= {"SOPClassUID": CT.encode(), "SOPInstanceUID": instance_uid.encode(), keyword: value}
    parts = []
    for name, raw in sorted(values.items(), key=lambda item: TAGS[item[0]]):
        even = raw + b" " * (len(raw) % 2)
        parts.append(element(TAGS[name], b"UT" if len(even) > 0xFFFE else b"LO", even))
    return b"".join(parts)


def with_instance_uid(stream, uid):
    """Change the instance UID of a C-STORE-RQ in place: it has as many digits as that of the tests."""
    assert len(uid) == len(INSTANCE)
    return stream.replace(INSTANCE.encode(), uid.encode(), 1)


def test_whatever_the_names_are_no_file_is_made_outside_its_tree(gateway, rows, tmp_path):
    statuses = []
    number = 0
    for title, keyword in zip(AE_TITLES, [*KEYWORDS, "StudyDescription"], strict=True):
        with Wire(gateway.port) as wire:
            assert wire.associate(title, contexts=((1, CT, (EXPLICIT,)),))[0] == ACCEPTED
            for value in NASTY:
                number += 1
                uid = f"1.3.12.2.1107.5.2.19.45152.20130308081102589291{number:05}"
                stream = store_rq(hostile_dataset(uid, keyword, value), max_pdu_length=131072)
                pdu_type, body = wire.send(with_instance_uid(stream, uid)).receive()
                assert pdu_type == DATA
                statuses.append(status_of(body))
            assert wire.send(RELEASE_RQ).receive()[0] == RELEASED
    assert set(statuses) <= {0x0000, 0xC000}
    stored = statuses.count(0)
    assert stored > len(statuses) / 2
    wait_until(lambda: len(rows()) == stored, "the rows", 60)
    wait_until(lambda: not gateway.spooled(), "everything is registered", 60)
    made = {path.relative_to(gateway.files_root) for path in gateway.find("**/*") if path.is_file()}
    below = {path for path in made if path.parts[0] != ".oxidicom"}
    assert {path.parts[:2] for path in below} == {("SERVICES", "PACS")}
    directories = {"TEST", ".._.._..", "_etc_", "a_.._b", ".._", ".._.._", "_"}
    assert {path.parts[2] for path in below} == {*directories, "org.fnndsc.oxidicom"}
    assert len([path for path in below if path.suffix == ".dcm"]) == stored, "each instance has a file of its own"
    assert not [path for path in tmp_path.iterdir() if path.name not in ("files", "state", "gateway.log")]


def status_of(body):
    """Return the status (0000,0900) of the response in a P-DATA-TF."""
    at = body.index(b"\0\0\0\x09\x02\0\0\0")
    return struct.unpack_from("<H", body, at + 8)[0]


@pytest.mark.parametrize("below", ["TEST", "TEST/1CT1-CompressedSamples_CT1-"])
def test_a_link_that_a_neighbour_planted_is_not_followed(gateway, rows, tmp_path, below):
    outside = tmp_path / "outside"
    outside.mkdir()
    planted = gateway.files_root / "SERVICES" / "PACS" / below
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.symlink_to(outside)
    (path,) = make_series(tmp_path / "in", 1)
    assert send(gateway.port, [path])[0].Status == 0
    line = wait_until(lambda: gateway.lines("store_failed"), "it is said that the file cannot be stored")[0]
    assert "tried again" in line["message"]
    assert list(outside.iterdir()) == []
    planted.unlink()
    wait_until(lambda: len(rows()) == 1, "it is stored when the link is gone", 60)
    assert list(outside.iterdir()) == []
