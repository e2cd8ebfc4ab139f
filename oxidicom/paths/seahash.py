"""SeaHash: the stable 64-bit hash in the names of series directories.

The same function as `hash` of the Rust crate `seahash` 4.1, with its default seeds: four lanes take the
64-bit little-endian words of the data in turn; a last, shorter word is filled up with zeros.
"""

import struct

_SEEDS = (0x16F11FE89B0D677C, 0xB480A793D8E6C86C, 0x6FE2E5AAF078EBC9, 0x14F994A4C5259381)
_PRIME = 0x6EED0E9DA4D94A4F
_MASK = 0xFFFF_FFFF_FFFF_FFFF


def seahash(data: bytes) -> int:
    """Return the 64-bit SeaHash of `data`."""
    length = len(data)
    words = struct.unpack(f"<{(length + 7) // 8}Q", data + bytes(-length % 8))
    a, b, c, d = _SEEDS
    for word in words:
        a, b, c, d = b, c, d, _diffuse(a ^ word)
    return _diffuse(a ^ b ^ c ^ d ^ length)


def _diffuse(x: int) -> int:
    """Spread each bit of `x` over all 64."""
    x = x * _PRIME & _MASK
    x ^= (x >> 32) >> (x >> 60)
    return x * _PRIME & _MASK
