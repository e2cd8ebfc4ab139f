"""Connection strings as they may be shown: where the database is, and never a secret."""

import psycopg
from psycopg.conninfo import conninfo_to_dict

from oxidicom.settings import EMBEDDED


def display(conninfo: str) -> str:
    """Return user, host, port and name of the database, and nothing else that the connection string holds.

    What it leaves to libpq's own variables and defaults is left out.
    """
    if conninfo == EMBEDDED:
        return "the embedded PostgreSQL"
    try:
        parameters = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return "no libpq connection string or URL"
    user, host = parameters.get("user"), parameters.get("host") or parameters.get("hostaddr")
    port, name = parameters.get("port"), parameters.get("dbname")
    location = f"{f'{user}@' if user else ''}{host or ''}{f':{port}' if port else ''}"
    return f"postgresql://{location}/{name or ''}"
