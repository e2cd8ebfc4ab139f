"""Finds the names of files in the table that has them: each generation has one, with a column `fname`."""

from collections.abc import Sequence

from oxidicom.cube.connections import Connection

# The operators between tildes compare byte by byte, whatever the locale of the database, as its index for LIKE does.
BELOW = "SELECT fname FROM {table} WHERE fname ~>~ %s AND fname ~<~ %s ORDER BY fname USING ~<~ LIMIT %s"
_COUNT = "SELECT count(*) FROM {table} WHERE fname ~>~ %s AND fname ~<~ %s"
_KNOWN = "SELECT fname FROM {table} WHERE fname = ANY (%s)"


class FileNames:
    """What every reader finds alike."""

    def __init__(self, table: str) -> None:
        self._below = BELOW.format(table=table)
        self._count = _COUNT.format(table=table)
        self._known = _KNOWN.format(table=table)

    def names_below(self, connection: Connection, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` names below `directory` that come after `after`, in the order of their bytes."""
        first, end = range_of(directory)
        return [name for (name,) in connection.execute(self._below, [max(first, after), end, limit])]

    def count_below(self, connection: Connection, directory: str) -> int:
        """Return the number of names below `directory`."""
        (count,) = connection.execute(self._count, range_of(directory)).fetchone() or (0,)
        return int(count)

    def known(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered."""
        return {name for (name,) in connection.execute(self._known, [list(names)])}


def range_of(directory: str) -> tuple[str, str]:
    """Return what all names below `directory` lie between: `0` is the character after `/`."""
    return f"{directory}/", f"{directory}0"
