"""Text is decoded as its character set says, and never fails."""

import warnings
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import python_encoding
from pydicom.filereader import dcmread

from oxidicom.dataset.text import DOES_NOT_FIT, UNLABELLED_UTF_8, decode_text, parse_character_set

CHARSET_FILES = Path(pydicom.data.__file__).parent / "charset_files"
ANY_CHARACTER_SET = st.lists(st.sampled_from([*python_encoding, "nonsense", "utf_7", "rot13"]), max_size=3).map(
    lambda terms: "\\".join(terms).encode()
)


def decode(raw: bytes, character_set: bytes = b"", *, is_name: bool = False) -> tuple[str, str]:
    return decode_text(raw, parse_character_set(character_set), is_name=is_name)


@pytest.mark.parametrize("path", sorted(CHARSET_FILES.glob("chr[!S]*.dcm")), ids=lambda path: path.stem)
def test_names_in_the_character_sets_of_the_standard_are_read_as_by_pydicom(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(path)
        raw = found.get_item("PatientName")
        terms = found.get("SpecificCharacterSet", "")
        name = str(found.PatientName)
    character_set = terms if isinstance(terms, str) else "\\".join(terms)
    assert raw is not None
    text, flaw = decode(raw.value, character_set.encode(), is_name=True)
    assert text.rstrip("=") == name.strip()  # pydicom leaves empty groups out
    assert flaw == ""


@pytest.mark.parametrize(
    ("raw", "character_set", "text"),
    [
        (b"Buc^J\xe9r\xf4me", b"ISO_IR 100", "Buc^Jérôme"),
        ("Äneas^Rüdiger".encode(), b"ISO_IR 192 ", "Äneas^Rüdiger"),
        ("王^小东".encode("gb18030"), b"GB18030", "王^小东"),
        (b"Wang=\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1", b"\\ISO 2022 IR 58", "Wang=王^小"),
        (b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", b"ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", b"\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎"),
        (b"Buc^J\xe9r\xf4me", b"ISO-IR 100", "Buc^Jérôme"),
        ("Ä".encode(), b"utf-8", "Ä"),
        ("Œuvre€".encode("iso8859_15"), b"ISO_IR 203", "Œuvre€"),
        ("Œuvre€".encode("iso8859_15"), b"ISO 2022 IR 203", "Œuvre€"),
        (b"J\xe9r\xf4me=\x1b-b\xbcuvre\xa4^\xbc=\xe9", b"ISO 2022 IR 100\\ISO 2022 IR 203", "Jérôme=Œuvre€^¼=é"),
        (b"\x1b-b\xbcuvre\x1b-A\xbc", b"ISO 2022 IR 100\\ISO 2022 IR 203", "Œuvre¼"),
    ],
)
def test_text_is_decoded(raw: bytes, character_set: bytes, text: str) -> None:
    assert decode(raw, character_set, is_name=True) == (text, "")


@pytest.mark.parametrize(
    ("raw", "character_set", "text"),
    [
        (b"M\xfcller", b"", "Müller"),
        (b"M\xfcller", b"ISO_IR 192", "M\ufffdller"),
        (b"M\xfcller", b"nonsense", "Müller"),
        (b"a\x1b%Gb", b"ISO_IR 100", "a\x1b%Gb"),
        (b"\x1b$B\xff\xff", b"\\ISO 2022 IR 87", "ÿÿ"),
    ],
)
def test_what_does_not_fit_is_replaced_and_reported(raw: bytes, character_set: bytes, text: str) -> None:
    assert decode(raw, character_set) == (text, DOES_NOT_FIT)


@pytest.mark.parametrize("character_set", [b"", b"ISO_IR 6", b"ISO 2022 IR 6", b"nonsense"])
def test_utf_8_is_recognized_without_its_label(character_set: bytes) -> None:
    assert decode("Müller 小东".encode(), character_set) == ("Müller 小东", UNLABELLED_UTF_8)
    assert decode(b"Mueller", character_set) == ("Mueller", "")
    assert decode("Müller".encode() + b"\xfc", character_set)[1] == DOES_NOT_FIT


def test_utf_8_is_not_guessed_against_its_label() -> None:
    assert decode("Müller".encode(), b"ISO_IR 100") == ("MÃ¼ller", "")


def test_values_are_told_apart_after_decoding() -> None:
    backslash_inside = "\u8868".encode("shift_jis")
    assert backslash_inside == b"\x95\x5c"
    assert decode(backslash_inside + b"1\\second", b"ISO_IR 13") == ("表1", "")
    assert decode(b"first\\second") == ("first", "")


def test_nuls_and_surrounding_blanks_are_removed() -> None:
    assert decode(b" \0DOE^JO\0HN=x \0 ") == ("DOE^JOHN=x", "")


DEFINED_TERMS = [
    *[f"ISO_IR {number}" for number in (100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166, 192)],
    *[f"ISO 2022 IR {number}" for number in (6, 100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166)],
    *[f"ISO 2022 IR {number}" for number in (87, 159, 149, 58)],
    "GB18030",
    "GBK",
]
"""PS3.3, C.12.1.1.2: tables C.12-2 to C.12-5."""


@pytest.mark.parametrize("term", DEFINED_TERMS)
def test_every_defined_term_of_the_standard_is_known(term: str) -> None:
    character_set = parse_character_set(term.encode())
    assert character_set.is_known
    for encoding in character_set.encodings:
        b"".decode(encoding)


@pytest.mark.parametrize("raw", [b"", b"ISO_IR 100", b"ISO 2022 IR 6\\ISO 2022 IR 87", b"\\ISO 2022 IR 87 "])
def test_defined_terms_are_known(raw: bytes) -> None:
    assert parse_character_set(raw).is_known


@pytest.mark.parametrize("raw", [b"nonsense", b"ISO_IR 100\\nonsense", b"rot13", b"idna", b"\xff"])
def test_other_terms_are_not_known(raw: bytes) -> None:
    assert not parse_character_set(raw).is_known


def test_every_encoding_is_one_of_python() -> None:
    for term in python_encoding:
        for encoding in parse_character_set(term.encode()).encodings:
            b"".decode(encoding)


@given(st.binary(max_size=60), ANY_CHARACTER_SET, st.booleans())
def test_any_bytes_become_text_that_can_be_written(raw: bytes, character_set: bytes, is_name: bool) -> None:
    text, _ = decode(raw, character_set, is_name=is_name)
    text.encode("utf-8")
    assert "\0" not in text
    assert "\\" not in text
    assert text == text.strip()


@given(
    st.lists(st.sampled_from([b"\x1b$B", b"\x1b(J", b"\x1b$)C", b"\x1b-F", b"\x1b-b", b"\x1b", b"\xe9", b"^", b"a\\"]))
)
def test_any_escape_sequences_become_text(pieces: list[bytes]) -> None:
    text, _ = decode(b"".join(pieces), b"\\ISO 2022 IR 87\\ISO 2022 IR 149\\ISO 2022 IR 203", is_name=True)
    text.encode("utf-8")


@given(st.binary(max_size=60))
def test_any_character_set_is_parsed(raw: bytes) -> None:
    assert parse_character_set(raw).encodings
