"""The account of the model: where each acknowledged instance is, and what may never be seen, not even for a moment."""

import collections
import glob
import os
from typing import NamedTuple

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.gateway_directory import aside_directory
from oxidicom.spool.ledger import LEDGER_NAME
from oxidicom.spool.names import EntryName, MetadataValue, parse_name
from oxidicom.spool.set_aside import associations_set_aside, read_reason
from tests.model.database import Tables
from tests.model.instances import SentInstance

_Key = tuple[str, int]
"""Association and number of an instance."""


class Acknowledged(NamedTuple):
    """What was answered with Success."""

    association: str
    sent: SentInstance
    name: EntryName
    committed_ns: int
    fname: str


class Account:
    """Compares the storage and the tables with what was acknowledged."""

    def __init__(self, files_root: str, tables: Tables) -> None:
        self._files_root = files_root
        self._aside = aside_directory(files_root)
        self._tables = tables
        self.acknowledged: dict[_Key, Acknowledged] = {}
        self.attempted: collections.Counter[tuple[str, str]] = collections.Counter()
        """How many instances were sent, by association and series."""
        self.damaged: set[str] = set()
        """Associations whose ledgers were damaged or lost: what they alone knew may be gone."""
        self.faults: list[str] = []
        self._latest: dict[str, int] = {}
        """By final path: the moment of the commit of the version that was seen there."""
        self._kept: dict[str, bytes] = {}
        """What was seen set aside."""

    def acknowledge(self, association, sent, name, committed_ns, fname):
        """Success was answered: whatever happens from now on, it must be somewhere."""
        self.acknowledged[association, name.number] = Acknowledged(association, sent, name, committed_ns, fname)

    # -- at each COMMIT ------------------------------------------------------------------------------------------

    def committed(self, files, values):
        """Judge the rows of a transaction at its last moment."""
        for row in (*files, *(value.file for value in values)):
            if not os.path.isfile(self._path(row.fname)):
                self.faults.append(f"a row without its file: {row.fname}")
        for value in values:
            association, key, text = _value_of(value.file.fname)
            if key == COMMITTED_COUNT_KEY:
                self._judge_count(association, value.series.series_instance_uid, int(text))

    def _judge_count(self, association, series_uid, count):
        known = self._acknowledged_of(association, series_uid)
        sent = self.attempted[association, series_uid]
        if not (len(known) <= count <= sent or (association in self.damaged and count <= sent)):
            self.faults.append(f"{count} of {association} are registered, {len(known)} were acknowledged of {sent}")
        spooled = self._find(".oxidicom/0*/spool")
        for one in known:
            at = spooled.get((one.association, one.name.number))
            if at and one.fname not in self._tables.rows and not self._tables.refuses(one.fname):
                self.faults.append(f"the count of {association} comes before {at}")

    def _acknowledged_of(self, association, series_uid):
        return [
            one
            for one in self.acknowledged.values()
            if one.association == association and one.sent.series_uid == series_uid
        ]

    # -- at each step --------------------------------------------------------------------------------------------

    def judge(self):
        """Judge what there is now."""
        spooled, aside = self._find(".oxidicom/0*/spool"), self._find(".oxidicom/set-aside")
        for key, one in self.acknowledged.items():
            places = [*spooled.get(key, []), *aside.get(key, [])]
            if len(places) > 1:
                self.faults.append(f"an instance at two places: {places}")
            elif places:
                self._judge_bytes(one, places[0])
            elif not self.is_discarded(one):
                self._judge_registered(one)
        self._judge_tree()
        self._judge_aside()
        for fname in self._tables.rows:
            if not os.path.isfile(self._path(fname)):
                self.faults.append(f"a row whose file is gone: {fname}")

    def _find(self, pattern: str) -> dict[_Key, list[str]]:
        """Return the paths of the entries in directories of associations below `pattern`, by what they are."""
        found: dict[_Key, list[str]] = {}
        for path in glob.iglob(f"{self._files_root}/{pattern}/*/*"):
            parsed = parse_name(os.path.basename(path))
            if parsed and isinstance(parsed[0], EntryName):
                found.setdefault((os.path.basename(os.path.dirname(path)), parsed[0].number), []).append(path)
        return found

    def _judge_bytes(self, one, path):
        with open(path, "rb") as file:
            if not file.read().endswith(one.sent.data):
                self.faults.append(f"not what was sent: {path}")

    def _judge_registered(self, one):
        """It is in no spool and was not thrown away: then it is in the tree, or a later version is, and has its row."""
        if one.fname not in self._tables.rows:
            self.faults.append(f"acknowledged, and in no spool and without a row: {one.association} {one.name}")
        elif not os.path.isfile(self._path(one.fname)):
            self.faults.append(f"acknowledged, and lost: {one.association} {one.name}")
        elif os.stat(self._path(one.fname)).st_mtime_ns < one.committed_ns:
            self.faults.append(f"an older version has replaced {one.association} {one.name}")
        elif os.stat(self._path(one.fname)).st_mtime_ns == one.committed_ns:
            self._judge_bytes(one, self._path(one.fname))

    def _judge_tree(self):
        for path in {self._path(one.fname) for one in self.acknowledged.values()}:
            if not os.path.isfile(path):
                self._latest.pop(path, None)
                continue
            committed_ns = os.stat(path).st_mtime_ns
            if committed_ns < self._latest.get(path, 0):
                self.faults.append(f"a version was replaced by an older one: {path}")
            self._latest[path] = committed_ns

    def _judge_aside(self):
        """What is set aside has its reason, no bug of ours among them, and stays what it was."""
        for path in glob.iglob(f"{self._aside}/*/*"):
            if path.endswith(".json"):
                continue
            reason = read_reason(f"{path}.json")
            if reason is None or reason.reason.startswith("unexpected"):
                self.faults.append(f"set aside for no good reason: {path}: {reason}")
            with open(path, "rb") as file:
                data = file.read()
            if self._kept.setdefault(path, data) != data:
                self.faults.append(f"it is no longer what was set aside: {path}")

    def is_discarded(self, one):
        """Tell whether an operator threw it away, and it is told."""
        for state in ("received", "stored"):
            reason = read_reason(os.path.join(self._aside, one.association, one.name.at(state) + ".json"))
            if reason and reason.discarded:
                return True
        return False

    # -- what there is -------------------------------------------------------------------------------------------

    def find_ledgers(self) -> list[str]:
        """Return the ledgers of all associations in all spools."""
        return glob.glob(f"{self._files_root}/.oxidicom/0*/spool/0*/{LEDGER_NAME}")

    def is_anything_spooled(self) -> bool:
        """Tell whether anything stands in the directory of an association."""
        return bool(glob.glob(f"{self._files_root}/.oxidicom/0*/spool/*/*"))

    def aside(self) -> list[str]:
        """Return the associations of which something is set aside."""
        return associations_set_aside(self._aside)

    def forget_kept(self) -> None:
        """An operator is at work: what was set aside may come anew, under a name that it had before."""
        self._kept.clear()

    # -- in the end ----------------------------------------------------------------------------------------------

    def settle(self, *, may_be_set_aside: bool):
        """Everybody has come to rest: each is stored and registered, or set aside if that is allowed."""
        left = glob.glob(f"{self._files_root}/.oxidicom/0*/spool/*/*")
        if left:
            self.faults.append(f"never finished: {left}")
        aside = self._find(".oxidicom/set-aside")
        for key, one in self.acknowledged.items():
            if key in aside and not may_be_set_aside:
                self.faults.append(f"still set aside: {aside[key]}")
            elif key not in aside and not self.is_discarded(one):
                self._judge_registered(one)
        for association, series_uid in {(one.association, one.sent.series_uid) for one in self.acknowledged.values()}:
            if association not in self.damaged:
                self._settle_values(association, series_uid)

    def _settle_values(self, association, series_uid):
        """Both values of a series have one row each, unless they are set aside or were thrown away.

        One may be set aside though it has its row: refused the second time, since a crash hid the first.
        """
        series_hash = self._acknowledged_of(association, series_uid)[0].name.series_hash
        rows = {row for row in self._tables.rows if "=" in row and _is_of(row, series_uid)}
        for key in (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY):
            found = {row for row in rows if _value_of(row)[:2] == (association, key)}
            is_aside = self._is_aside(association, series_hash, key) and not found & self._tables.refused_again
            if len(found) != (0 if is_aside else 1):
                self.faults.append(f"{len(found)} rows of {key} of {association}")

    def _is_aside(self, association, series_hash, key):
        for name in glob.iglob(f"{self._aside}/{association}/*"):
            parsed = parse_name(os.path.basename(name).removesuffix(".json"))
            if parsed and isinstance(parsed[0], MetadataValue) and parsed[0][:2] == (series_hash, key):
                reason = read_reason(name)
                if not name.endswith(".json") or (reason and reason.discarded):
                    return True
        return False

    def _path(self, fname):
        return os.path.join(self._files_root, fname)


def _value_of(fname):
    """Return association, key and text of the row of a metadata value."""
    directory, _, name = fname.rpartition("/")
    key, _, text = name.partition("=")
    return directory.rpartition("/")[2], key, text


def _is_of(fname, series_uid):
    """Tell the two series of the model apart by their numbers."""
    return f"/{series_uid.rpartition('.')[2].rjust(5, '0')}-" in fname
