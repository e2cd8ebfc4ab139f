"""The folders generation of CUBE's schema (CUBE 6 and 7): folders, files, permissions, PACS and series.

There is no place in it for "Oxidicom Custom Metadata": nobody who uses CUBE 6 asks for it, and rows would show up among
people's files. Of its two values one ends the series, whose row is written then.
"""

from collections.abc import Sequence

import psycopg

from oxidicom.cube.connections import Connection
from oxidicom.cube.faults import lacks_reference, lacks_rights, schema_changed, wants_unknown_column
from oxidicom.cube.folders_reader import FoldersReader
from oxidicom.cube.folders_registrar import FoldersRegistrar
from oxidicom.cube.folders_statements import Columns, Statements
from oxidicom.cube.rights import Right, grants, lacking
from oxidicom.cube.traits import Traits
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError

# The catalog itself, for information_schema hides what a user has no rights to.
_DETECT = """
SELECT to_regclass('pacsfiles_pacsseries') IS NOT NULL, to_regclass('pacsfiles_pacsfile') IS NOT NULL,
    (SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name)
"""

_MAY_LOOK = """
SELECT has_column_privilege('auth_user', 'username', 'SELECT') AND has_table_privilege('auth_group', 'SELECT')
    AND has_table_privilege('core_chrisfolder', 'SELECT')
"""

_COLUMNS = """
SELECT
    EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = to_regclass('pacsfiles_pacs') AND attname = 'active' AND NOT attisdropped),
    EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = to_regclass('pacsfiles_pacsseries') AND attname = 'deletion_status' AND NOT attisdropped),
    has_any_column_privilege('core_chrisfolder', 'UPDATE')
        AND has_any_column_privilege('pacsfiles_pacsseries', 'UPDATE'),
    EXISTS (SELECT FROM auth_group WHERE name = 'pacs_users')
"""

# CUBE makes these rows after all of its tables.
_IS_FILLED = """
SELECT EXISTS (SELECT FROM auth_user WHERE username = 'chris'),
       EXISTS (SELECT FROM core_chrisfolder WHERE path = 'SERVICES/PACS')
"""

_TABLES = (
    "core_chrisfolder",
    "core_chrisfile",
    "core_foldergrouppermission",
    "core_filegrouppermission",
    "pacsfiles_pacs",
    "pacsfiles_pacsseries",
)
_RIGHTS = (
    Right("SELECT", "auth_user", ("id", "username")),
    Right("SELECT", "auth_group"),
    *(Right(privilege, table) for table in _TABLES for privilege in ("SELECT", "INSERT")),
)
_LOCKS = tuple(Right("UPDATE", table, ("creation_date",)) for table in ("core_chrisfolder", "pacsfiles_pacsseries"))
"""To lock the rows of folders and series that are about to be used; none is changed. PostgreSQL asks for the right to
change any one column. Without it a file may be registered while CUBE begins to delete its series."""
_ADD_GROUP = Right("INSERT", "auth_group")
"""Only if pacs_users is not there."""

_REFERENCES = {
    "owner_id": "its user chris is not there: CUBE makes it when it migrates",
    "group_id": "its group pacs_users is not there, and cannot be made",
    "pacs_id": "a PACS that was added to it cannot be found in it: missing rights, or a trigger, hide it",
}


class Folders:
    """The generation, with the columns that one database has."""

    traits = Traits("folders", registers_metadata=False, registers_series=True, people_delete_series=True)
    references = frozenset({"owner_id", "parent_folder_id", "folder_id", "file_id", "group_id", "pacs_id"})

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.registrar = FoldersRegistrar(Statements(columns))
        self.reader = FoldersReader()

    @property
    def rights(self) -> Sequence[Right]:
        """What the user of the gateway needs."""
        return _RIGHTS if self._columns.has_group else (*_RIGHTS, _ADD_GROUP)

    @property
    def useful_rights(self) -> Sequence[Right]:
        """What it had better have too."""
        return _LOCKS if self._columns.deletion else ()

    @classmethod
    def detect(cls, connection: Connection) -> "Folders | None":
        """Return the generation if these are the tables that `connection` sees.

        Raise NotMigratedError when CUBE has not filled them yet, DatabaseUnavailableError when our user may not look.
        """
        found = connection.execute(_DETECT, [["auth_user", "auth_group", *_TABLES]]).fetchone()
        if not found or not found[0]:
            return None
        _require_whole(*found[1:])
        if connection.execute(_MAY_LOOK).fetchone() != (True,):
            missing = lacking(connection, _RIGHTS)
            raise DatabaseUnavailableError(f"the gateway's user lacks rights: {' '.join(missing)}", grants=missing)
        _require_filled(*(connection.execute(_IS_FILLED).fetchone() or (False, False)))
        return cls(Columns(*(connection.execute(_COLUMNS).fetchone() or ())))

    def meaning_of(self, error: psycopg.Error) -> str | None:
        """Say what an error means in these tables, without its values; None when it means the same everywhere."""
        column = error.diag.column_name
        if lacks_reference(error, self.references):
            return _REFERENCES.get(column or "", "a folder of a file is deleted again and again")
        if wants_unknown_column(error):
            return f"its column {column} wants a value that CUBE 6 and 7 do not have"
        if lacks_rights(error):
            return f"the gateway's user lacks rights and needs: {'; '.join(grants(self.rights))}"
        if schema_changed(error):
            return "its tables are not those that CUBE had; it may be migrating, and is checked again"
        return None


def _require_whole(is_flat: bool, is_whole: bool) -> None:
    if is_flat:
        raise DatabaseUnavailableError(
            "it has the tables of CUBE 5 and those of CUBE 6 or later: a migration is under way, or has failed, since "
            "CUBE 6 wants an empty database"
        )
    if not is_whole:
        raise NotMigratedError("it does not have all tables of CUBE 6 yet; CUBE may still be migrating")


def _require_filled(has_owner: bool, has_folder: bool) -> None:
    if not (has_owner and has_folder):
        what = "folder SERVICES/PACS" if has_owner else "user chris"
        raise NotMigratedError(f"its {what} is not there yet; CUBE may still be migrating")
