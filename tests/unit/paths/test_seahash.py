"""SeaHash has the values of its reference implementation."""

import pytest

from oxidicom.paths.seahash import seahash


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 14492805990617963705),
        (b"to be or not to be", 1988685042348123509),
        (b"love is a wonderful terrible thing", 4784284276849692846),
    ],
)
def test_the_vectors_of_the_reference_implementation(data: bytes, expected: int) -> None:
    assert seahash(data) == expected


def test_a_series_instance_uid_has_the_hash_of_its_directory() -> None:
    uid = b"1.3.12.2.1107.5.2.19.45152.2013030808061520200285270.0.0.0"
    assert f"{seahash(uid):x}".startswith("a27cf06")


def test_every_length_and_trailing_zeros_count() -> None:
    hashes = {seahash(bytes(size)) for size in range(100)}
    assert len(hashes) == 100
    assert all(0 <= value < 2**64 for value in hashes)
