"""The contracts, looked for in a storage after a power failure: right when the power is back, and after a restart."""

import collections
import os
from collections.abc import Iterator

from fuzzing.crash_states.promises import Promises, Version
from oxidicom.paths.final_path import METADATA_ROOT, metadata_path
from oxidicom.paths.private_root import PRIVATE_ROOT, is_ulid
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.names import EntryName, parse_name

_TREE = "SERVICES"
_PROBE = ".oxidicom-probe"
_KEYS = (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY)


class Contracts:
    """Those of one recording."""

    def __init__(self, promises: Promises, files_root: str, *, has_metadata_rows: bool) -> None:
        """`has_metadata_rows`: the generation of CUBE has rows of "Oxidicom Custom Metadata"."""
        self._promises = promises
        self._root = files_root
        self._has_metadata_rows = has_metadata_rows

    def broken_at_once(self, registered: list[str]) -> Iterator[str]:
        """Yield what is wrong before anything has started: CUBE shows what is there."""
        yield from self._rows_without_files(registered)
        yield from (wrong for wrong in self._half_files() if not wrong.endswith(_PROBE))  # the next start removes it

    def broken_in_the_end(self, moment_us: int, registered: list[str], series: list[str]) -> Iterator[str]:
        """Yield what is wrong after the restart of a gateway that was cut off at a moment."""
        yield from self._rows_without_files(registered)
        yield from self._half_files()
        yield from self._lost(moment_us, registered)
        yield from self._wrongly_set_aside(moment_us)
        yield from self._left_over()
        if self._has_metadata_rows:
            yield from self._counts(moment_us, registered)
        else:
            yield from self._series(moment_us, series)
        if len(set(registered)) != len(registered):
            yield "a row is there twice"

    # -- the tree ----------------------------------------------------------------------------------------------------

    def _read(self, fname: str) -> bytes | None:
        try:
            with open(os.path.join(self._root, fname), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_whole(self, fname: str) -> bool:
        """Tell whether a file is one of the versions that came, or the empty one of a metadata value."""
        data = self._read(fname)
        if fname.startswith(f"{METADATA_ROOT}/"):
            return data == b""
        return any(data == version.data for version in self._promises.of_path.get(fname, ()))

    def _rows_without_files(self, registered: list[str]) -> Iterator[str]:
        for fname in registered:
            if not self._is_whole(fname):
                kind = "no" if self._read(fname) is None else "a damaged"
                yield f"a row has {kind} file: {_kind(fname)}"

    def _half_files(self) -> Iterator[str]:
        for directory, _, names in os.walk(os.path.join(self._root, _TREE)):
            if os.path.basename(directory) == PRIVATE_ROOT:
                continue
            for name in names:
                fname = os.path.relpath(os.path.join(directory, name), self._root)
                if not self._is_whole(fname):
                    yield f"a half or foreign file below SERVICES: {_kind(fname)}"

    def _lost(self, moment_us: int, registered: list[str]) -> Iterator[str]:
        rows = set(registered)
        for fname, versions in self._promises.held(moment_us):
            data = self._read(fname)
            if data is None:
                yield f"an instance is lost that was {self._what(versions[0], moment_us)}"
            elif all(data != version.data for version in versions):
                what = self._what(versions[0], moment_us)
                yield f"an older version, or no version, is in the place of one that was {what}"
            if fname not in rows:
                yield f"an instance has no row that was {self._what(versions[0], moment_us)}"

    def _what(self, version: Version, moment_us: int) -> str:
        is_stored = version.stored_us is not None and version.stored_us <= moment_us
        return "stored" if is_stored else "acknowledged"

    # -- the spool ---------------------------------------------------------------------------------------------------

    def _wrongly_set_aside(self, moment_us: int) -> Iterator[str]:
        held = {
            (one.association, one.name.number)
            for one in self._promises.versions
            if self._promises.holds(one, moment_us)
        }
        top = os.path.join(self._root, PRIVATE_ROOT, "set-aside")
        for directory, _, names in os.walk(top):
            for file_name in names:
                if file_name.endswith(".json"):
                    continue
                parsed = parse_name(file_name)
                if parsed is None or not isinstance(parsed[0], EntryName):
                    yield f"set aside: {file_name.rpartition('.')[2]} that is no instance"
                elif (os.path.basename(directory), parsed[0].number) in held:
                    yield "an instance is set aside that was promised"

    def _left_over(self) -> Iterator[str]:
        private_root = os.path.join(self._root, PRIVATE_ROOT)
        for name in os.listdir(private_root):
            if is_ulid(name):
                left = sorted(os.listdir(os.path.join(private_root, name)))
                if "spool" not in left:
                    continue  # its gateway was just beginning: nothing was ever in it
                yield f"the directory of a gateway is left: {', '.join(left)}"

    # -- the counts --------------------------------------------------------------------------------------------------

    def _counts(self, moment_us: int, registered: list[str]) -> Iterator[str]:
        """Each series of an association has each value once, and its count is that of what came, lost ones aside."""
        values: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
        for fname in registered:
            if fname.startswith(f"{METADATA_ROOT}/"):
                directory, _, name = fname.rpartition("/")
                key, _, text = name.partition("=")
                values[directory, key].append(text)
        for (_, key), texts in values.items():
            if len(texts) > 1:
                yield f"{key} has two values"
        for directory, held, came in self._series_counts(moment_us):
            for key in _KEYS:
                if not values[directory, key]:
                    yield f"{key} is missing of a series of which something was promised"
            for text in values[directory, COMMITTED_COUNT_KEY]:
                if not held <= int(text) <= came:
                    yield f"{COMMITTED_COUNT_KEY} is {text}, though {held} were promised and {came} came"

    def _series_counts(self, moment_us: int) -> Iterator[tuple[str, int, int]]:
        held: collections.Counter[str] = collections.Counter()
        came: collections.Counter[str] = collections.Counter()
        for version in self._promises.versions:
            directory = version.fname.rpartition("/")[0]
            values = metadata_path(directory, version.association, "", "").rpartition("/")[0]
            came[values] += version.came_us <= moment_us
            held[values] += self._promises.holds(version, moment_us)
        return ((values, count, came[values]) for values, count in held.items() if count)

    def _series(self, moment_us: int, series: list[str]) -> Iterator[str]:
        there = collections.Counter(series)
        wanted = {fname.rpartition("/")[0] for fname, _ in self._promises.held(moment_us)}
        for directory in wanted:
            if there[directory] != 1:
                yield f"a series has {there[directory]} rows"


def _kind(fname: str) -> str:
    """Name a file without what tells it from others, so that what is found can be counted."""
    name = os.path.basename(fname)
    return "instance" if name.endswith(".dcm") else name.partition("=")[0]
