"""A link with a delay: what a sender reaches that does not stand beside its receiver.

A tunnel (tun(4)) whose other end is this host again: a packet to PEER comes back after the delay with its addresses
exchanged, as if PEER had sent it to this host. So one connection crosses it twice, from sender to PEER and from PEER
to receiver, and its checksums stay right, for they do not depend on the order of the addresses (RFC 1071).
"""

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import time
from collections import deque
from collections.abc import Iterator

from benchmarks.errors import BenchmarkError
from benchmarks.forked import fork, settle_in

HOST, PEER = "198.18.0.1", "198.18.0.2"
"""Of the network for benchmarks (RFC 2544)."""

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_REQUEST = struct.Struct("16sH14x")
_MOST_BYTES = 1 << 16
_QUEUE = 10_000  # packets: more than the largest window holds
_SOURCE, _DESTINATION, _END = 12, 16, 20  # of the two addresses in a header of IPv4 (RFC 791, 3.1)


@contextlib.contextmanager
def delayed_link(seconds: float) -> Iterator[str]:
    """Within it each packet to the address that is yielded takes so long, and so does each packet back.

    Raise BenchmarkError where no tunnel may be made: that takes root, best in a network namespace of its own
    (`unshare --net`, then `ip link set lo up`).
    """
    try:
        tunnel = os.open("/dev/net/tun", os.O_RDWR)
    except OSError as error:
        raise _refused(error.strerror or str(error)) from error
    try:
        _set_up(tunnel)
        mirror = fork.Process(target=_mirror, args=(tunnel, seconds), daemon=True)
        mirror.start()
        try:
            yield PEER
        finally:
            mirror.kill()
            mirror.join()
    finally:
        os.close(tunnel)


def _set_up(tunnel: int) -> None:
    try:
        answer = fcntl.ioctl(tunnel, _TUNSETIFF, _REQUEST.pack(b"benchmark%d", _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        raise _refused(error.strerror or str(error)) from error
    name = answer[:16].rstrip(b"\0").decode()
    for words in (
        ["link", "set", name, "up", "mtu", "1500", "txqueuelen", str(_QUEUE)],
        ["address", "add", HOST, "peer", PEER, "dev", name],
    ):
        try:
            subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise _refused("no program ip: apt-get install iproute2") from None
        except subprocess.CalledProcessError as error:
            raise _refused(error.stderr.strip()) from error


def _refused(reason: str) -> BenchmarkError:
    return BenchmarkError(f"no link with a delay: {reason}. It takes root: sudo unshare --net, ip link set lo up")


def _mirror(tunnel: int, seconds: float) -> None:
    """Send everything back after so many seconds, until this process is ended."""
    settle_in()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        patience = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else None
        if select.select([tunnel], [], [], patience)[0]:
            packet = os.read(tunnel, _MOST_BYTES)
            waiting.append((time.monotonic() + seconds, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            os.write(tunnel, _exchanged(waiting.popleft()[1]))


def _exchanged(packet: bytes) -> bytes:
    """Return a packet with the addresses of source and destination exchanged."""
    source, destination = packet[_SOURCE:_DESTINATION], packet[_DESTINATION:_END]
    return packet[:_SOURCE] + destination + source + packet[_END:]
