"""Who may open an association: the calling AE titles, and the networks that they call from.

    CHRIS_SCP_ALLOWED_AETS=ARCHIVE,MODALITY@10.1.2.0/24,MODALITY@fd00::/8

An AE title alone proves nothing, since every peer chooses its own; with a network it says where that peer has to be.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True, slots=True)
class AllowedPeer:
    """A calling AE title that is taken, from anywhere or from one network."""

    ae_title: str
    network: Network | None = None

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.network}" if self.network else self.ae_title

    def matches(self, calling_ae_title: str, address: str) -> bool:
        """Tell whether a peer at `address`, an IPv4 or IPv6 address, is this one."""
        if calling_ae_title != self.ae_title:
            return False
        return self.network is None or ipaddress.ip_address(address) in self.network


def is_allowed(allowed: Iterable[AllowedPeer], calling_ae_title: str, address: str) -> bool:
    """Tell whether one of `allowed` is the peer. AE titles are compared as they are, capitals and all."""
    return any(peer.matches(calling_ae_title, address) for peer in allowed)


def is_welcome(allowed: Iterable[AllowedPeer], address: str) -> bool:
    """Tell whether a peer at `address` may be one of `allowed` at all, whatever AE title it will say that it has."""
    networks = [peer.network for peer in allowed]
    if not networks or None in networks:
        return True
    found = ipaddress.ip_address(address)
    return any(found in network for network in networks if network)


def parse_allowed_peers(text: str) -> tuple[AllowedPeer, ...]:
    """Parse AE titles or `AET@network`, comma-separated; blanks around them do not count.

    A network is an address (`10.1.2.3`) or in CIDR notation. Raise ValueError.
    """
    peers = tuple(_parse(item.strip()) for item in text.split(",") if item.strip())
    if not peers:  # else a stray comma would open the port to everyone
        raise ValueError("it names nobody; leave it unset to allow every AE title")
    return peers


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse addresses or networks in CIDR notation, comma-separated. Raise ValueError."""
    try:
        return tuple(ipaddress.ip_network(item.strip()) for item in text.split(",") if item.strip())
    except ValueError as error:
        raise ValueError(f"{error}; give addresses or networks such as 10.1.2.0/24") from None


def _parse(item: str) -> AllowedPeer:
    title, at, network = item.rpartition("@")
    title = (title if at else item).strip()
    if not 1 <= len(title) <= 16:
        raise ValueError(f"{item!r}: an AE title has 1 to 16 characters (PS3.5, 6.2)")
    if not at:
        return AllowedPeer(title)
    try:
        return AllowedPeer(title, ipaddress.ip_network(network.strip()))
    except ValueError as error:
        raise ValueError(f"{item!r}: {error}; give an address or a network such as 10.1.2.0/24") from None
