"""CUBE's database as a model: rows that are committed or not, an outage, rows that are refused. COMMIT is one step.

The real one is tried in the integration tests and the drills; here its answers are needed a thousand times a second.
"""

from collections.abc import Callable, Sequence

from oxidicom.cube.database import Registered
from oxidicom.errors import DatabaseUnavailableError, RowRefusedError
from oxidicom.records import PacsFile, SeriesValue


class Tables:
    """What all gateways share."""

    on_commit: Callable[[Sequence[PacsFile], Sequence[SeriesValue]], None]
    """Sees the rows of a transaction when they are committed."""

    def __init__(self) -> None:
        self.rows: set[str] = set()
        self.is_down = False
        self.refused: set[str] = set()
        """Parts of the names of rows that are refused."""
        self.refused_again: set[str] = set()
        """Rows that are there, and were refused when they came again: their gateway died after the COMMIT."""

    def refuses(self, fname: str) -> bool:
        return any(part in fname for part in self.refused)


class ModelDatabase:
    """Stands where `oxidicom.cube.database.Database` does."""

    def __init__(
        self, tables: Tables, operate: Callable[[], None], before_commit: Callable[[Sequence[PacsFile]], None]
    ) -> None:
        """`operate` is called before and after each COMMIT, as before an operation on a file."""
        self._tables = tables
        self._operate = operate
        self._before_commit = before_commit

    def register(self, files: Sequence[PacsFile], values: Sequence[SeriesValue] = ()) -> Registered:
        self.examine()
        rows = [*files, *(value.file for value in values)]
        for row in rows:
            if self._tables.refuses(row.fname):
                self._tables.refused_again.update({row.fname} & self._tables.rows)
                raise RowRefusedError("it is refused here")
        self._before_commit(rows)
        self._wait()
        new = [name for name in dict.fromkeys(row.fname for row in rows) if name not in self._tables.rows]
        self._tables.rows.update(new)
        self._tables.on_commit(files, values)
        self._wait()
        return Registered(new, len(rows) - len(new))

    def _wait(self) -> None:
        """The connection may break here: whether it is committed is not known then."""
        try:
            self._operate()
        except OSError as error:
            raise DatabaseUnavailableError("the connection is lost") from error

    def examine(self) -> None:
        if self._tables.is_down:
            raise DatabaseUnavailableError("it is down")

    def interrupt(self, after_seconds: float) -> None:
        """Nothing takes long here."""

    def close(self) -> None:
        """Nothing is open."""
