"""Finds rows in the tables of CUBE 6 and 7."""

from collections.abc import Sequence

from oxidicom.cube.connections import Connection
from oxidicom.cube.file_names import FileNames, range_of
from oxidicom.cube.rows import SeriesKey
from oxidicom.records import SeriesIdentity

_ANY_FILE = "SELECT EXISTS (SELECT FROM core_chrisfile WHERE fname ~>~ 'SERVICES/PACS/' AND fname ~<~ 'SERVICES/PACS0')"

_SERIES = """
SELECT DISTINCT "PatientID", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID"
FROM pacsfiles_pacsseries AS series JOIN core_chrisfolder AS folder ON folder.id = folder_id
WHERE folder.path = %s OR (folder.path ~>~ %s AND folder.path ~<~ %s) LIMIT 2
"""

# The PACS is found as it is when a series is inserted: that of the directory; only if it has none, that of the title.
_REGISTERED_SERIES = """
SELECT directory, identifier, uid FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted (directory, identifier, uid)
WHERE EXISTS (
    SELECT FROM pacsfiles_pacsseries AS series WHERE series."SeriesInstanceUID" = uid AND pacs_id = coalesce(
        (SELECT id FROM pacsfiles_pacs
         WHERE folder_id = (SELECT id FROM core_chrisfolder WHERE path = wanted.directory)),
        (SELECT id FROM pacsfiles_pacs AS pacs WHERE pacs.identifier = wanted.identifier)))
"""

_WITHOUT_SERIES = """
SELECT path FROM core_chrisfolder AS folder
WHERE path ~>~ %s AND path ~<~ %s
    AND EXISTS (SELECT FROM core_chrisfile WHERE parent_folder_id = folder.id)
    AND NOT EXISTS (SELECT FROM pacsfiles_pacsseries WHERE folder_id = folder.id)
ORDER BY path USING ~<~ LIMIT %s
"""


class FoldersReader(FileNames):
    """Looks names up in `core_chrisfile`, series in `pacsfiles_pacsseries`."""

    def __init__(self) -> None:
        super().__init__("core_chrisfile")

    def any_file(self, connection: Connection) -> bool:
        """Tell whether there is any row of a PACS file."""
        return connection.execute(_ANY_FILE).fetchone() == (True,)

    def series_below(self, connection: Connection, directory: str) -> list[SeriesIdentity]:
        """Return the different series that are registered with `directory`, or below it; no more than two of them."""
        found = connection.execute(_SERIES, [directory, *range_of(directory)])
        return [SeriesIdentity(*row) for row in found]

    def registered_series(self, connection: Connection, series: Sequence[SeriesKey]) -> set[SeriesKey]:
        """Return those of `series` that have a row."""
        columns = [list(column) for column in zip(*series, strict=True)]
        return {SeriesKey(*row) for row in connection.execute(_REGISTERED_SERIES, columns)} if series else set()

    def directories_without_series(self, connection: Connection, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` directories below `directory` after `after` that have rows of files and no series."""
        first, end = range_of(directory)
        found = connection.execute(_WITHOUT_SERIES, [max(first, after), end, limit])
        return [path for (path,) in found]
