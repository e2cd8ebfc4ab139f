"""Finds rows in the tables of CUBE 6 and 7."""

from collections.abc import Sequence

from oxidicom.cube.connections import Connection
from oxidicom.records import SeriesIdentity

_ANY_FILE = "SELECT EXISTS (SELECT FROM core_chrisfile WHERE fname ~>~ 'SERVICES/PACS/' AND fname ~<~ 'SERVICES/PACS0')"

# The operators between tildes compare byte by byte, whatever the locale of the database, as its index for LIKE does.
_NAMES = "SELECT fname FROM core_chrisfile WHERE fname ~>~ %s AND fname ~<~ %s ORDER BY fname USING ~<~ LIMIT %s"

_COUNT = "SELECT count(*) FROM core_chrisfile WHERE fname ~>~ %s AND fname ~<~ %s"

_KNOWN_NAMES = "SELECT fname FROM core_chrisfile WHERE fname = ANY (%s)"

_SERIES = """
SELECT DISTINCT "PatientID", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID"
FROM pacsfiles_pacsseries AS series JOIN core_chrisfolder AS folder ON folder.id = folder_id
WHERE folder.path = %s OR (folder.path ~>~ %s AND folder.path ~<~ %s) LIMIT 2
"""

_REGISTERED_SERIES = """
SELECT wanted.directory, wanted.uid FROM unnest(%s::text[], %s::text[]) AS wanted (directory, uid)
JOIN core_chrisfolder AS folder ON folder.path = wanted.directory
JOIN pacsfiles_pacs AS pacs ON pacs.folder_id = folder.id
JOIN pacsfiles_pacsseries AS series ON series.pacs_id = pacs.id AND series."SeriesInstanceUID" = wanted.uid
"""

_WITHOUT_SERIES = """
SELECT path FROM core_chrisfolder AS folder
WHERE path ~>~ %s AND path ~<~ %s
    AND EXISTS (SELECT FROM core_chrisfile WHERE parent_folder_id = folder.id)
    AND NOT EXISTS (SELECT FROM pacsfiles_pacsseries WHERE folder_id = folder.id)
ORDER BY path USING ~<~ LIMIT %s
"""


class FoldersReader:
    """Looks names up in `core_chrisfile`, series in `pacsfiles_pacsseries`."""

    def any_file(self, connection: Connection) -> bool:
        """Tell whether there is any row of a PACS file."""
        return connection.execute(_ANY_FILE).fetchone() == (True,)

    def names_below(self, connection: Connection, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` names below `directory` that come after `after`, in the order of their bytes."""
        first, end = f"{directory}/", f"{directory}0"
        return [name for (name,) in connection.execute(_NAMES, [max(first, after), end, limit])]

    def count_below(self, connection: Connection, directory: str) -> int:
        """Return the number of names below `directory`."""
        (count,) = connection.execute(_COUNT, [f"{directory}/", f"{directory}0"]).fetchone() or (0,)
        return int(count)

    def known(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered."""
        return {name for (name,) in connection.execute(_KNOWN_NAMES, [list(names)])}

    def series_below(self, connection: Connection, directory: str) -> list[SeriesIdentity]:
        """Return the different series that are registered with `directory`, or below it; no more than two of them."""
        found = connection.execute(_SERIES, [directory, f"{directory}/", f"{directory}0"])
        return [SeriesIdentity(*row) for row in found]

    def registered_series(self, connection: Connection, series: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of `series`, by directory of the PACS and SeriesInstanceUID, that have a row."""
        directories, uids = [one[0] for one in series], [one[1] for one in series]
        return {(directory, uid) for directory, uid in connection.execute(_REGISTERED_SERIES, [directories, uids])}

    def directories_without_series(self, connection: Connection, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` directories below `directory` after `after` that have rows of files and no series."""
        found = connection.execute(_WITHOUT_SERIES, [max(f"{directory}/", after), f"{directory}0", limit])
        return [path for (path,) in found]
