"""Describing the datasets of one association: each that fits a stencil of an earlier one is described by it.

It is ten times as fast as to read a header, and gives the same: a stencil that fits is a proof. Stencils are kept by
the association, for a few series and for the few lengths that a UID has within a series.
"""

from typing import NamedTuple

from oxidicom.dataset.completeness import WholeLengths
from oxidicom.dataset.description import SeriesDescription, describe, describe_series
from oxidicom.dataset.header import Header
from oxidicom.dataset.header_stencil import HeaderStencil, cut
from oxidicom.records import Description

_MAX_STENCILS = 6
"""Each has up to 16 KiB, and each that does not fit costs its part of a microsecond."""


class _Known(NamedTuple):
    stencil: HeaderStencil
    transfer_syntax_uid: str
    series: SeriesDescription


class Describer:
    """Describes datasets, and learns from those that it has not seen the like of."""

    def __init__(self, calling_ae_title: str) -> None:
        self._calling_ae_title = calling_ae_title
        self._known: list[_Known] = []
        """That which fitted last comes first."""
        self.whole_lengths = WholeLengths()

    def recognize(self, dataset: bytes | memoryview, transfer_syntax_uid: str) -> Description | None:
        """Return the description of a dataset by its beginning, or None if its header has to be read.

        Raise DatasetError when the dataset cannot be taken, as `describe` does.
        """
        for index, known in enumerate(self._known):
            if known.transfer_syntax_uid == transfer_syntax_uid:
                instance = known.stencil.values_of(dataset)
                if instance is not None:
                    if index:
                        self._known.insert(0, self._known.pop(index))
                    return known.series.describe(instance)
        return None

    def describe(self, header: Header, head: bytes, transfer_syntax_uid: str) -> Description:
        """Return the description of a dataset whose header was read from `head`, and learn from it.

        Raise DatasetError.
        """
        description = describe(header, self._calling_ae_title)
        if not any(
            known.transfer_syntax_uid == transfer_syntax_uid and known.stencil.widen(head, header.places)
            for known in self._known
        ):
            self._learn(header, head, transfer_syntax_uid)
        return description

    def _learn(self, header: Header, head: bytes, transfer_syntax_uid: str) -> None:
        stencil = cut(head, header.places)
        if stencil:
            series = describe_series(header, self._calling_ae_title)
            self._known.insert(0, _Known(stencil, transfer_syntax_uid, series))
            del self._known[_MAX_STENCILS:]
