"""Why a gateway may not take the association of `oxidicom send-test`: the setting that may be the reason."""

import socket
from collections.abc import Sequence

from oxidicom.association.access import AllowedPeer
from oxidicom.pacs.address_book import PacsAddress
from oxidicom.settings import Settings


def hint(settings: Settings, calling: str, address: PacsAddress) -> str:
    """Return a sentence for whoever calls `address` as `calling`. Raise OSError when this host cannot reach it."""
    if settings.allowed_peers:
        return _of_allowed(settings.allowed_peers, calling, _own_address_to(address))
    if settings.proxy_protocol:
        return "CHRIS_PROXY_PROTOCOL is on: send through the balancer, by --host and --port"
    if settings.tls_client_ca:
        return "CHRIS_TLS_CLIENT_CA is set, and this command has only the gateway's own certificate to show"
    return f"Is the gateway running, with PORT={settings.port}? `oxidicom status` shows whether it is"


def _of_allowed(allowed: Sequence[AllowedPeer], calling: str, own: str) -> str:
    """Say which titles may send from this host, or how it may."""
    titles = sorted({peer.ae_title for peer in allowed if peer.matches(peer.ae_title, own)})
    if calling in titles:
        return (
            f"CHRIS_SCP_ALLOWED_AETS lets {calling}@{own} send. Is the gateway running? `oxidicom status` shows "
            "whether it is"
        )
    if titles:
        return (
            f"CHRIS_SCP_ALLOWED_AETS lets only these send from this host: {', '.join(titles)}; choose one by --calling"
        )
    return f"CHRIS_SCP_ALLOWED_AETS lets nobody send from this host: add {calling}@{own} to it, and restart the gateway"


def _own_address_to(address: PacsAddress) -> str:
    """Return by which address this host reaches another, without sending anything. Raise OSError."""
    family, kind, _, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)
        own, _, _ = str(probe.getsockname()[0]).partition("%")  # of a link-local address: the interface
        return own
