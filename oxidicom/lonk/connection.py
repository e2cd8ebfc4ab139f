"""A connection to one NATS server: made once, and given up rather than waited for."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from oxidicom.lonk.address import access, location

if TYPE_CHECKING:
    from nats.aio.client import Client

_CONNECT_SECONDS = 2
_ABANDON_SECONDS = 0.1


def new_client() -> "Client":
    """Return a client that is not connected. What nats-py has to say is said by its caller, in one line."""
    from nats.aio.client import Client  # noqa: PLC0415 (0.2 s and 10 MB, for the process that needs it)

    logging.getLogger("nats").setLevel(logging.CRITICAL)
    return Client()


async def connect(
    client: "Client",
    address: str,
    credentials: str,
    *,
    on_error: Callable[[Exception], Awaitable[None]] | None = None,
    on_end: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Connect a client, without the reconnection of nats-py. Raise whatever is in the way, within seconds."""
    async with asyncio.timeout(2 * _CONNECT_SECONDS):
        await client.connect(
            location(address),
            name="oxidicom",
            allow_reconnect=False,
            connect_timeout=_CONNECT_SECONDS,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=on_error,
            disconnected_cb=on_end,
            user_credentials=credentials or None,
            **access(address)._asdict(),
        )


async def abandon(client: "Client") -> None:
    """Close a client; what a server that hangs has not taken is not waited for."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_ABANDON_SECONDS):
            await client.close()


def reason_of(error: Exception) -> str:
    """Say in a few words what is the matter; no secret, and no subject, which names a series."""
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not answer"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio has another text for it
    reason = str(error) or type(error).__name__
    return reason.removeprefix("nats: ").partition(' to "')[0]


def try_server(address: str, credentials: str) -> str:
    """Connect once. Return why it cannot be used; '' when it can."""
    return asyncio.run(_try(address, credentials))


async def _try(address: str, credentials: str) -> str:
    errors: list[Exception] = []

    async def note(error: Exception) -> None:
        errors.append(error)

    client = new_client()
    try:
        await connect(client, address, credentials, on_error=note)
        await client.flush(_CONNECT_SECONDS)
    except Exception as error:  # noqa: BLE001 (whatever it is: it cannot be used)
        return reason_of(errors[-1] if errors else error)
    finally:
        await abandon(client)
    return ""
