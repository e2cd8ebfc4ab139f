"""A port to listen on: how it is taken, why it cannot be, and what to do about that."""

import errno
import socket
from typing import Final

OF_CONFIGURATION: Final = (errno.EACCES, errno.EPERM)
"""Such trouble does not mend itself."""


def bound_socket(address: str, port: int) -> socket.socket:
    """Return a TCP socket that has the port but does not listen yet, for IPv6 and IPv4 where `address` is `::`.

    Raise OSError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if address == "::" and not socket.has_dualstack_ipv6():
        family, address = socket.AF_INET, "0.0.0.0"
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def port_trouble(port_variable: str, port: int, address_variable: str, address: str, error: OSError) -> str:
    """Return a sentence that names port, address and cause, and the remedy."""
    cause, remedy = error.strerror, f"set {port_variable} or {address_variable}"
    if error.errno in OF_CONFIGURATION:
        cause = f"this user may not listen on a port this low ({error.strerror})"
        remedy = (
            "under systemd, uncomment AmbientCapabilities=CAP_NET_BIND_SERVICE and its two neighbours in "
            f"oxidicom.service; for a container, map the port (-p {port}:11111); else "
            f"sysctl net.ipv4.ip_unprivileged_port_start={port}, setcap cap_net_bind_service=+ep on the program of "
            f"Python, or set {port_variable} above 1023"
        )
    elif error.errno == errno.EADDRINUSE:
        cause = f"it is in use ({error.strerror})"
        remedy = f"`ss -ltnp`, as root, shows which program has it: stop that, or set {port_variable}"
    elif error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        cause = f"this host has no such address ({error.strerror})"
        remedy = f"set {address_variable} to one that `ip address` shows, or to :: for all"
    return f"port {port} on {address} cannot be used: {cause}; {remedy}"
