"""A file of NATS credentials (`.creds`): whether it is one. What it holds is never shown."""

import os

_PARTS = {b"BEGIN NATS USER JWT": "user JWT", b"BEGIN USER NKEY SEED": "NKEY seed"}


def credentials_fault(path: str) -> str | None:
    """Return what is wrong with a file of credentials. nats-py looks for a missing JWT for ever."""
    try:
        with open(path, "rb") as file:
            content = file.read(1 << 20)
    except OSError as error:
        return os.strerror(error.errno or 0)
    missing = [part for marker, part in _PARTS.items() if marker not in content]
    return f"it has no {' and no '.join(missing)}, as a `.creds` file has" if missing else None
