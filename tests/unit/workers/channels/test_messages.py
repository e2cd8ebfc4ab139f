"""What the processes tell each other fits the queues."""

import msgspec

from oxidicom.dataset.description import describe
from oxidicom.dataset.header import Header
from oxidicom.wanted_tags import (
    INSTANCE_NUMBER,
    KEYWORDS,
    MODALITY,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SERIES_NUMBER,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_DATE,
    STUDY_INSTANCE_UID,
)
from workers.channels.facts import MAX_SERIES_SHARES, InstancesRegistered, SeriesShare
from workers.channels.messages import MAX_IN_MESSAGE, Instance, InstancesStored
from workers.channels.queues import MAX_MESSAGE_BYTES

WIDEST = "\U00020000"  # four bytes in UTF-8
ULID = "01KACG4ZJ5W5Q1V0S9Q3Y8T7XW"


def the_longest_instance() -> Instance:
    values = dict.fromkeys(KEYWORDS, (WIDEST * 1024).encode())
    values |= {
        SPECIFIC_CHARACTER_SET: b"ISO_IR 192",
        MODALITY: b"\xff" * 4096,
        PATIENT_ID: (WIDEST * 100).encode(),
        STUDY_DATE: b"20190102",
        SERIES_NUMBER: b"2147483647",
        INSTANCE_NUMBER: b"2147483647",
    }
    values |= dict.fromkeys((STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID), b"1." + b"2" * 62)
    file = describe(Header(values), "\xff" * 16).file
    return Instance(ULID, 2**53, "f" * 20, 2**63, 2**63, file)


def test_the_longest_instances_fit_one_message() -> None:
    longest = the_longest_instance()
    assert len(longest.file.columns.study_description) > 200, "the values are as long as their columns"
    encoded = msgspec.msgpack.encode(InstancesStored([longest] * MAX_IN_MESSAGE))
    assert len(encoded) <= MAX_MESSAGE_BYTES, len(encoded) / MAX_IN_MESSAGE


def test_the_most_shares_of_series_fit_one_fact() -> None:
    columns = the_longest_instance().file.columns
    share = SeriesShare(ULID, "f" * 20, "\xff" * 16, columns.series_instance_uid, 2**31)
    encoded = msgspec.msgpack.encode(InstancesRegistered(2**63, [share] * MAX_SERIES_SHARES))
    assert len(encoded) <= MAX_MESSAGE_BYTES
