"""Whatever a peer puts into the values that make a path: no file leaves its tree, and none takes another's place."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from oxidicom.association.associate import decode_ae_title
from oxidicom.association.negotiation import unusable_calling_ae_title
from oxidicom.dataset.description import describe
from oxidicom.dataset.header import Header
from oxidicom.errors import BootError, DatasetError
from oxidicom.paths.final_path import metadata_path, sanitize
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY, Description
from oxidicom.tree.final_tree import FinalTree
from oxidicom.wanted_tags import KEYWORDS, SPECIFIC_CHARACTER_SET, STUDY_DATE

TAGS = {keyword: tag for tag, keyword in KEYWORDS.items()}
ULID = "01HZ7TF03EZD364005NP332RBQ"

NASTY = [
    b"..",
    b".",
    b"../../../../etc/cron.d/x",
    b"..\\..\\windows\\system32",
    b"/etc/passwd",
    b"a/../b",
    b"\0",
    b".\0.",
    b"a\0/../b",
    b"\\",
    b"..\\",
    b"first\\../second",
    b"%2e%2e%2f",
    b"~root",
    b"CON",
    b"nul.txt",
    b"C:\\boot.ini",
    b"aux. ",
    b"-rf",
    b"$(reboot)",
    b"`id`",
    b"a\nb\rc\tb",
    b"\x1b[31m",
    b"\x1b$B\x2f\x2f",  # a slash inside an escape sequence of ISO 2022
    b"\x81\x2f\x81\x5c",  # and inside what a double-byte character set takes for one character
    "․․/‥/…".encode(),  # dots of other sorts
    "／＼．．".encode(),  # full width
    "\u202egnp.exe".encode(),
    "e\u0301".encode(),
    "\U0010ffff\U0001f4a9".encode(),
    "".join(chr((plane << 16) + 0x2F2F) for plane in range(17)).encode(),  # one of every plane, ending as `/` does
    b"\xff\xfe\x2e\x00\x2e\x00",
    b"\xc0\xae\xc0\xae\xc0\xaf",  # overlong UTF-8 for ../
    b"x" * 65536,
    b"../" * 20000,
    ("山" * 300).encode(),
]
CHARACTER_SETS = [b"", b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"ISO_IR 13", b"\\ISO 2022 IR 87", b"?"]
VALUES = st.one_of(st.sampled_from(NASTY), st.binary(max_size=80), st.text(max_size=80).map(str.encode))
UIDS = st.one_of(st.from_regex(r"[0-9.]{1,64}", fullmatch=True).map(str.encode), VALUES)
AE_TITLES = st.one_of(st.binary(max_size=16), st.sampled_from(NASTY)).map(lambda title: title[:16].ljust(16))
OTHERS = sorted(set(KEYWORDS) - {TAGS[name] for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")})


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """Return a header of which any value may be hostile; most have what an instance needs to be stored at all."""
    values = draw(st.dictionaries(st.sampled_from(OTHERS), VALUES))
    values |= {TAGS["PatientID"]: draw(VALUES), SPECIFIC_CHARACTER_SET: draw(st.sampled_from(CHARACTER_SETS))}
    if draw(st.integers(0, 9)):
        values[STUDY_DATE] = b"20200229"
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        values[TAGS[keyword]] = draw(UIDS) if not draw(st.integers(0, 9)) else b"1.2.3"
    return Header({tag: value[:4096] for tag, value in values.items()})


def assert_inside(path: str, root: str, components: int) -> None:
    assert path.startswith(f"{root}/")
    parts = path.split("/")
    assert len(parts) == components
    assert not {"", ".", ".."} & set(parts)
    assert max(len(os.fsencode(part)) for part in parts) <= 255
    assert len(path) <= 512
    assert path.isascii()
    assert path.isprintable()
    assert "\\" not in path


def described(header: Header, raw_ae_title: bytes) -> Description | None:
    """Describe an instance as the listener does; None when the association or the instance is refused."""
    title = decode_ae_title(raw_ae_title)
    if unusable_calling_ae_title(title):
        return None
    try:
        return describe(header, title)
    except DatasetError as error:
        assert error.status == 0xC000
        return None


@settings(max_examples=1000)
@given(headers(), AE_TITLES)
def test_no_value_leaves_the_tree_of_its_ae_title(header: Header, raw_ae_title: bytes) -> None:
    description = described(header, raw_ae_title)
    assume(description)
    assert description is not None
    root = f"SERVICES/PACS/{sanitize(decode_ae_title(raw_ae_title))}"
    assert_inside(description.file.fname, root, 7)
    assert_inside(description.series.directory, root, 6)
    for key, value in ((EXPECTED_COUNT_KEY, "unknown"), (COMMITTED_COUNT_KEY, "4294967295")):
        path = metadata_path(description.series.directory, ULID, key, value)
        assert_inside(path, "SERVICES/PACS/org.fnndsc.oxidicom/SERVICES/PACS", 11)


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("keyword", sorted(TAGS))
def test_each_nasty_value_in_each_place(keyword: str, nasty: bytes) -> None:
    values = {TAGS[name]: b"1.2.3" for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID")}
    header = Header({**values, STUDY_DATE: b"20200229", TAGS[keyword]: nasty[:4096]})
    description = described(header, b"PACS".ljust(16))
    if description:
        assert_inside(description.file.fname, "SERVICES/PACS/PACS", 7)


@settings(max_examples=500)
@given(headers(), st.lists(st.from_regex(r"[0-9.]{1,64}", fullmatch=True), min_size=2, max_size=2, unique=True), VALUES)
@example(Header({}), ["1.2", "1.2-3".replace("-", ".")], b"0001-1")
def test_two_instances_never_share_a_path(header: Header, uids: list[str], instance_number: bytes) -> None:
    """By formats.md only versions of one SOP Instance may: its UID is in the name, and is never cut."""
    usable = {TAGS[name]: b"1.2.3" for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    usable |= {TAGS["PatientID"]: b"1", STUDY_DATE: b"20200229"}
    paths = []
    for uid, number in zip(uids, (instance_number, header.values.get(TAGS["InstanceNumber"], b"")), strict=True):
        changed = {TAGS["SOPInstanceUID"]: uid.encode(), TAGS["InstanceNumber"]: number}
        description = described(Header({**header.values, **usable, **changed}), b"PACS".ljust(16))
        if description:
            paths.append(description.file.fname)
    assert len(set(paths)) == len(paths)


class Storage:
    """A files root with a tree, and what should stand in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tmp").mkdir()
        (root / ".oxidicom").mkdir()
        (root / "SERVICES/PACS").mkdir(parents=True)
        (root / "outside").write_bytes(b"untouched")
        self.expected = {"outside": b"untouched"}
        self.tree = FinalTree(str(root), str(root / "tmp"), time.time_ns)
        self.number = 0

    def store(self, path: str) -> None:
        self.number += 1
        entry = self.root / "tmp" / "entry"
        entry.write_bytes(str(self.number).encode())
        self.tree.place(str(entry), path)
        self.expected[path] = entry.read_bytes()
        entry.unlink()
        self.tree.sync_directories()

    def found(self) -> dict[str, bytes]:
        paths = [path for path in self.root.rglob("*") if not path.is_dir() and path.parent.name != ".oxidicom"]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    made = Storage(tmp_path_factory.mktemp("files"))
    yield made
    made.tree.close()


@settings(max_examples=150, deadline=None)
@given(headers(), AE_TITLES)
def test_real_files_stand_where_they_should_and_nowhere_else(
    storage: Storage, header: Header, raw_ae_title: bytes
) -> None:
    description = described(header, raw_ae_title)
    assume(description)
    assert description is not None
    storage.store(description.file.fname)
    assert storage.found() == storage.expected


def plant(root: Path, below: str, target: Path) -> None:
    """Plant a symbolic link where a component of a path is to be."""
    link = root / below
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


PATH = "SERVICES/PACS/A/p/s/r/1.dcm"


@pytest.mark.parametrize("below", ["SERVICES/PACS", "SERVICES/PACS/A", "SERVICES/PACS/A/p", "SERVICES/PACS/A/p/s/r"])
def test_no_planted_link_to_a_directory_is_followed(tmp_path: Path, below: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "files"
    (root / "tmp").mkdir(parents=True)
    if below != "SERVICES/PACS":
        (root / "SERVICES/PACS").mkdir(parents=True)
    plant(root, below, outside)
    (root / "tmp" / "entry").write_bytes(b"data")
    with pytest.raises((OSError, BootError)):
        FinalTree(str(root), str(root / "tmp"), time.time_ns).place(str(root / "tmp" / "entry"), PATH)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("target", ["existing", "missing"])
def test_a_planted_link_in_place_of_a_file_is_replaced_and_not_written_through(tmp_path: Path, target: str) -> None:
    outside = tmp_path / "existing"
    outside.write_bytes(b"untouched")
    root = tmp_path / "files"
    (root / "tmp").mkdir(parents=True)
    (root / ".oxidicom").mkdir()
    plant(root, PATH, tmp_path / target)
    (root / "tmp" / "entry").write_bytes(b"data")
    tree = FinalTree(str(root), str(root / "tmp"), time.time_ns)
    tree.place(str(root / "tmp" / "entry"), PATH)
    assert not (root / PATH).is_symlink()
    assert (root / PATH).read_bytes() == b"data"
    assert outside.read_bytes() == b"untouched"
    assert not (tmp_path / "missing").exists()


def test_files_root_and_services_may_be_links(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "elsewhere/PACS").mkdir(parents=True)
    (real / "tmp").mkdir()
    (real / "SERVICES").symlink_to(real / "elsewhere")
    root = tmp_path / "files"
    root.symlink_to(real)
    (root / "tmp" / "entry").write_bytes(b"data")
    tree = FinalTree(str(root), str(root / "tmp"), time.time_ns)
    tree.place(str(root / "tmp" / "entry"), PATH)
    assert (real / "elsewhere" / PATH.removeprefix("SERVICES/")).read_bytes() == b"data"
