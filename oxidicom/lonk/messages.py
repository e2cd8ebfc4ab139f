"""Subjects and payloads of LONK, as CUBE and its clients understand them. Pure.

    subject   {root}.{calling AE title}.{SeriesInstanceUID}
    01 + uint32, little-endian    so many instances of the series are registered, of this association
    02 + text in UTF-8            the series cannot be completed
    00                            nothing more comes for the series in this association

CUBE subscribes with the name that a client gives for the PACS: it has to be the calling AE title.
"""

import re

_UNFIT = re.compile(r"[\s.*>\x00-\x1f\x7f]")
_MAX_COUNT = 0xFFFFFFFF
DONE = b"\x00"


def subject_of(root: str, calling_ae_title: str, series_instance_uid: str) -> str:
    """Return the subject of a series. What has a meaning in subjects becomes `_`; NUL, which pads, is left out."""
    return f"{root}.{_token(calling_ae_title)}.{_token(series_instance_uid)}"


def count_payload(count: int) -> bytes:
    """Return what says how many instances are registered."""
    return b"\x01" + min(count, _MAX_COUNT).to_bytes(4, "little")


def error_payload(text: str) -> bytes:
    """Return what says that a series cannot be completed; `text`, without patient data, goes to CUBE's log."""
    return b"\x02" + text.encode()


def _token(text: str) -> str:
    return _UNFIT.sub("_", text.replace("\0", "")) or "_"
