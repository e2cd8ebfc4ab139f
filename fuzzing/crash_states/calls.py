"""The lines of `strace -f -ttt -T -y -xx`: one system call each, with its process, its moments and its arguments.

A call that others interrupted stands in two lines; it is one call here, at the place of its end. What failed is left
out: it changed nothing. Strings are hexadecimal, so every byte that was written is told exactly.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

TRACED = (
    "open,openat,creat,write,writev,pwrite64,pwritev,ftruncate,truncate,fallocate,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,syncfs,sync,sync_file_range,utimensat,"
    "copy_file_range,sendfile,splice,mmap,sendto"
)
"""Whatever changes files or makes them durable; and what is sent, for it tells which instances are acknowledged."""

_LINE = re.compile(r"(\d+) +(\d+)\.(\d+) (.*)", re.DOTALL)
_WHOLE = re.compile(r"(\w+)\((.*)\) = (-?\d+)(\S*)(?: .*)? <([\d.]+)>", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_DESCRIPTOR = re.compile(r"(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")


class Call(NamedTuple):
    """A system call that succeeded."""

    process: int
    name: str
    arguments: str
    """As strace writes them."""
    result: int
    result_path: str
    """Of a descriptor that was returned: what it leads to."""
    began_us: int
    """Microseconds since the epoch, by the clock of the host."""
    ended_us: int

    @property
    def strings(self) -> list[bytes]:
        """All strings among the arguments, paths and data."""
        texts = []
        for match in _STRING.finditer(self.arguments):
            if match[2]:
                raise ValueError(f"strace cut a string of {self.name} short")
            texts.append(_bytes_of(match[1]))
        return texts

    @property
    def paths(self) -> list[str]:
        """What the descriptors among the arguments lead to; '' for a file that has no name any more."""
        return ["" if match[2] else _path_of(match[1]) for match in _DESCRIPTOR.finditer(self.arguments)]

    @property
    def numbers(self) -> list[int]:
        """All that stands as a plain number among the arguments, in its order."""
        return [int(text) for text in re.findall(r"(?:(?<=, )|^)-?\d+(?=,|$)", self.arguments)]


def read_calls(lines: Iterable[str]) -> Iterator[Call]:
    """Yield the calls that succeeded, in the order in which they ended. Raise ValueError at what cannot be read."""
    begun: dict[int, tuple[int, str]] = {}
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            raise ValueError(f"no line of strace: {line[:80]!r}")
        process, moment_us, text = int(match[1]), int(match[2]) * 1_000_000 + int(match[3]), match[4]
        if text.startswith(("+++", "---")):
            continue
        began_us = moment_us
        if text.endswith(_UNFINISHED):
            begun[process] = moment_us, text.removesuffix(_UNFINISHED)
            continue
        if resumed := _RESUMED.fullmatch(text):
            began_us, start = begun.pop(process)
            text = start + resumed[2]
        if call := _call(process, text, began_us):
            yield call


def _call(process: int, text: str, began_us: int) -> Call | None:
    """Return the call in a whole line; None if it failed, or if its process was killed within it."""
    match = _WHOLE.fullmatch(text)
    if match is None:
        if re.search(r"\) += (\?|-1 )", text):
            return None
        raise ValueError(f"no call: {text[:60]!r} … {text[-60:]!r}")
    result = int(match[3])
    if result < 0:
        return None
    path = _DESCRIPTOR.fullmatch(match[3] + match[4])
    ended_us = began_us + round(float(match[5]) * 1_000_000)
    return Call(process, match[1], match[2], result, _path_of(path[1]) if path else "", began_us, ended_us)


def _bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _path_of(text: str) -> str:
    return _bytes_of(text).decode("utf-8", "surrogateescape")
