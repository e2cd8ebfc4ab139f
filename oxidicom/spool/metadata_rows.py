"""The "Oxidicom Custom Metadata" of a series: empty files by which a client follows a retrieval, and their rows."""

import enum

from oxidicom.paths.final_path import metadata_path
from oxidicom.records import (
    COMMITTED_COUNT_KEY,
    EXPECTED_COUNT_KEY,
    METADATA_PACS_IDENTIFIER,
    PacsFile,
    Series,
    SharedColumns,
)
from oxidicom.spool.names import MetadataValue

UNKNOWN = "unknown"
"""The value of NumberOfSeriesRelatedInstances in every case of doubt."""


def expected_count_value(series_hash: str, count: int | None) -> MetadataValue:
    """Return the value that says how many instances the PACS has; None is `unknown`."""
    return MetadataValue(series_hash, EXPECTED_COUNT_KEY, UNKNOWN if count is None else str(count))


def committed_count_value(series_hash: str, count: int) -> MetadataValue:
    """Return the value that says how many instances the association brought."""
    return MetadataValue(series_hash, COMMITTED_COUNT_KEY, str(count))


def metadata_row(association: str, series: Series, value: MetadataValue) -> PacsFile:
    """Return the row of a metadata value: what identifies the series; the key as protocol, the text as description."""
    return PacsFile(
        metadata_path(series.directory, association, value.key, value.text),
        SharedColumns(
            pacs_identifier=METADATA_PACS_IDENTIFIER,
            patient_id=series.patient_id,
            study_date=series.study_date,
            study_instance_uid=series.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            protocol_name=value.key,
            series_description=value.text,
        ),
    )


class Verdict(enum.StrEnum):
    """What the two numbers of a series say together."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    MORE_THAN_EXPECTED = "more than expected"
    UNKNOWN = "unknown"
    SET_ASIDE = "set aside in part"


def shown_verdict(verdict: str, registered: int | None) -> str:
    """Return a verdict as people read it, of a series of which so many instances are registered (None: not known)."""
    return "set aside" if verdict == Verdict.SET_ASIDE and registered == 0 else verdict


def verdict_of(expected: str | None, committed: int, set_aside: int = 0) -> Verdict:
    """Compare the value of NumberOfSeriesRelatedInstances (None: there is none) with the committed instances.

    Whatever the numbers say, a series of which something was set aside is not all there.
    """
    if set_aside:
        return Verdict.SET_ASIDE
    if expected is None or expected == UNKNOWN:
        return Verdict.UNKNOWN
    if committed == int(expected):
        return Verdict.COMPLETE
    return Verdict.INCOMPLETE if committed < int(expected) else Verdict.MORE_THAN_EXPECTED
