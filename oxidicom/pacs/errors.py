"""What goes wrong with a PACS that we ask.

PacsError
 ├── PacsUnavailableError  it does not serve us now
 │    └── UnansweredError  it took the question and did not answer it
 ├── PacsRefusesError      it does not serve us at all
 └── UnknownSeriesError    it answered well: it does not know the series
"""

from oxidicom.errors import OxidicomError


class PacsError(OxidicomError):
    """A PACS does not answer, or not so that the answer could be trusted. The message says what it does."""


class PacsUnavailableError(PacsError):
    """The PACS does not serve us now, though it may a moment later: no connection, a transient rejection, a loss."""


class UnansweredError(PacsUnavailableError):
    """The PACS took the question and did not answer it; it may be put again."""


class PacsRefusesError(PacsError):
    """The PACS does not serve us at all: whatever is asked next would fare no better."""


class UnknownSeriesError(PacsError):
    """The PACS answered, and does not know the series."""
