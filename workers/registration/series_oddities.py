"""What is odd about the registration of a series: it is said once, and everything is registered as far as it can be."""

from collections.abc import Iterable

from loguru import logger

from oxidicom.association.uids import shown_uid
from oxidicom.cube.rows import Oddity, SeriesWritten

_SENTENCES = {
    Oddity.ANOTHER_PACS: "AE title {calling_ae_title} has the directory of another PACS in CUBE: its series are "
    "registered with that one, and cannot be found by their own AE title",
    Oddity.ANOTHER_DIRECTORY: "Series {series_instance_uid} from {calling_ae_title} is registered with another "
    "directory: its instances differ in a name, a description or a date. These files are registered, but not below "
    "the folder of the series",
    Oddity.DIRECTORY_TAKEN: "Series {series_instance_uid} from {calling_ae_title} has the directory of another series: "
    "its files are registered, but a search for the series does not find it",
    Oddity.NO_FILES: "Series {series_instance_uid} from {calling_ae_title} is not registered as a series, since none "
    "of its files is: they have been deleted from CUBE, or were set aside",
    Oddity.UNDESCRIBED: "Series {series_instance_uid} from {calling_ae_title} is not registered as a series, since its "
    "files do not say what it is; `oxidicom reconcile --register` looks at all of them",
}
_MAX_KNOWN = 10_000


class SeriesOddities:
    """Writes one line for each oddity of each series, or of each AE title."""

    def __init__(self) -> None:
        self._said: dict[tuple[Oddity, str, str], None] = {}

    def tell(self, odd: Iterable[SeriesWritten]) -> None:
        """Say what was not said yet."""
        for one in odd:
            assert one.oddity is not None
            is_of_pacs = one.oddity is Oddity.ANOTHER_PACS
            key = one.oddity, one.pacs_identifier, "" if is_of_pacs else one.series_instance_uid
            if key in self._said:
                continue
            if len(self._said) >= _MAX_KNOWN:
                del self._said[next(iter(self._said))]
            self._said[key] = None
            logger.warning(
                _SENTENCES[one.oddity],
                calling_ae_title=one.pacs_identifier,
                series_instance_uid=shown_uid(one.series_instance_uid),
                oddity=one.oddity.value,
                action="series_odd",
            )
