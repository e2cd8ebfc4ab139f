"""Datasets that the header scanner does not know, read by pydicom: big-endian and irregular ones.

Slow, and lenient as the readers of the stored files are. The law of this file: whatever pydicom raises, warns
of or returns, its caller sees raw values or a DatasetError.
"""

import io
import warnings

from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from oxidicom.dataset.scanner import MOST_VALUE_BYTES, Buffer
from oxidicom.dataset.wanted_tags import KEYWORDS, LAST_TAG
from oxidicom.errors import DatasetError

MOST_ODD_BYTES = 256 * 1024
"""So much of an odd dataset is looked at. It bounds the time of pydicom, microseconds for each element."""

MOST_ODD_ITEMS = 2000
"""So many items of sequences: each is a dataset of its own to pydicom, with half a kilobyte."""

_ITEM = b"\xfe\xff\x00\xe0"
_ITEM_BIG_ENDIAN = b"\xff\xfe\xe0\x00"


def read_odd_dataset(buffer: Buffer, start: int, *, implicit: bool, little_endian: bool) -> dict[int, bytes]:
    """Return the raw values of the wanted tags of the dataset from `start` to the end of `buffer`.

    Raise DatasetError when pydicom cannot read it, or not within MOST_ODD_BYTES and MOST_ODD_ITEMS.
    """
    stopped = False

    def stop_when(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal stopped
        stopped = int(tag) > LAST_TAG
        return stopped

    head = buffer[start : start + MOST_ODD_BYTES]
    if head.count(_ITEM if little_endian else _ITEM_BIG_ENDIAN) > MOST_ODD_ITEMS:
        raise DatasetError("dataset has too many items")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = read_dataset(
                io.BytesIO(head), implicit, little_endian, stop_when=stop_when, specific_tags=list(KEYWORDS)
            )
            elements: list[object] = [dataset.get_item(tag) for tag in KEYWORDS if tag in dataset]
    except Exception as error:  # pydicom has no common error, and hostile bytes find them all
        raise DatasetError("dataset cannot be read") from error
    found = [element for element in elements if isinstance(element, RawDataElement)]
    bounded = stopped or start + len(head) == len(buffer)
    if not bounded or any(len(element.value or b"") != element.length for element in found):
        raise DatasetError("dataset cannot be read")
    return {int(element.tag): (element.value or b"")[:MOST_VALUE_BYTES] for element in found}
