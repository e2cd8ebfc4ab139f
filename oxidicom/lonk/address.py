"""The addresses of NATS servers, and how they are shown: never with what gives access. Pure."""

import urllib.parse
from typing import NamedTuple

_SCHEMES = ("nats", "tls")
_DEFAULT_PORT = 4222


class Access(NamedTuple):
    """User and password, or a token, as they stand before the `@` of an address."""

    user: str | None
    password: str | None
    token: str | None


def parse_addresses(text: str) -> tuple[str, ...]:
    """Parse comma-separated addresses; a bare `host:port` is one of `nats://`. Raise ValueError, without secrets."""
    return tuple(_parse(number, part.strip()) for number, part in enumerate(text.split(","), 1) if part.strip())


def shown(address: str) -> str:
    """Return an address for messages: scheme, host and port."""
    parts = urllib.parse.urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _DEFAULT_PORT}"


def location(address: str) -> str:
    """Return an address without what gives access."""
    parts = urllib.parse.urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def access(address: str) -> Access:
    """Return what gives access, with its percent-encoding undone."""
    parts = urllib.parse.urlsplit(address)
    user, password = (urllib.parse.unquote(part) if part else None for part in (parts.username, parts.password))
    return Access(None, None, user) if password is None else Access(user, password, None)


def _parse(number: int, part: str) -> str:
    address = part if "://" in part else f"nats://{part}"
    try:
        parts = urllib.parse.urlsplit(address)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"address {number} is not of the form nats://host:4222 or tls://user:password@host:4222")
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"address {number} begins with {parts.scheme}://; nats:// or tls:// is expected")
    return address
