"""What an error of the database means: a row that is refused, something to try again, or a database that is away.

Errors are told by SQLSTATE and column. The texts of the server are not passed on: their DETAIL holds values.
"""

import psycopg

_CLASS_DATA = "22"
_CLASS_INTEGRITY = "23"
_TRY_AGAIN = {"40001", "40P01"}  # serialization failure, deadlock
_FOREIGN_KEY = "23503"

_REASONS = {
    "25006": "it is read-only (a standby, or failing over)",
    "42501": "its user may not write the tables: grant SELECT and INSERT on pacsfiles_pacs and pacsfiles_pacsfile",
    "42P01": "it has no tables for PACS files",
    "53100": "its disk is full",
    "53300": "it has no connection left",
    "57P01": "it is shutting down",
    "57P03": "it is starting up",
    "28P01": "its password is wrong",
    "28000": "it refuses this user",
    "3D000": "there is no database of that name",
}


def refuses_row(error: psycopg.Error) -> bool:
    """Tell whether `error` is about the content of a row, on the side of the server or of the client library."""
    if not error.sqlstate:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate[:2] in (_CLASS_DATA, _CLASS_INTEGRITY)


def is_foreign_key(error: psycopg.Error) -> bool:
    """Tell whether a row refers to a PACS that is gone: reported at COMMIT, since the constraint is deferred."""
    return error.sqlstate == _FOREIGN_KEY


def can_be_tried_again(error: psycopg.Error) -> bool:
    """Tell whether the same transaction may succeed if it is simply repeated."""
    return error.sqlstate in _TRY_AGAIN


def refusal_reason(error: Exception) -> str:
    """Describe why a row is refused, without its values."""
    if not isinstance(error, psycopg.Error) or not error.sqlstate:
        return f"the row cannot be sent ({type(error).__name__})"
    place = error.diag.column_name or error.diag.constraint_name
    return f"SQLSTATE {error.sqlstate}" + (f" at {place}" if place else "")


def outage_reason(error: Exception) -> str:
    """Describe why the database cannot be used, without its values or its password."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state:
        return f"{_REASONS.get(state, 'it reports an error')} (SQLSTATE {state})"
    text = " ".join(str(error).split())
    for sign, reason in _SIGNS:
        if sign in text:
            return reason
    return f"it cannot be reached ({type(error).__name__})"


# What libpq says without a SQLSTATE. Its whole text is not passed on: it may quote the connection string.
_SIGNS = (
    ("Connection refused", "it refuses connections: is it running, and are host and port right?"),
    ("timeout", "it does not answer"),
    ("timed out", "it does not answer"),
    ("resolve", "its host name cannot be resolved"),
    ("No such file", "its socket is not there: is it running?"),
    ("password authentication failed", "its password is wrong"),
    ("no password supplied", "it wants a password"),
    ("does not exist", "there is no database or user of that name"),
    ("too many", "it has no connection left"),
    ("starting up", "it is starting up"),
    ("shutting down", "it is shutting down"),
    ("recovery", "it is in recovery"),
    ("closed the connection", "it closed the connection"),
    ("Network is unreachable", "its network cannot be reached"),
    ("No route", "its network cannot be reached"),
)
