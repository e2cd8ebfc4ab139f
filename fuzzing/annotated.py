"""The language of the seeds: bytes of a conversation, written so that a person can read them.

01 00 <4                     # hexadecimal digits are bytes; a comment goes to the end of the line
   "ChRIS           "        # text in quotes is its bytes
   10 00 <2 "1.2.840" >      # <2 … > is a block after its length in 2 bytes, <4 in 4, big-endian
   08 00 <2le ab cd >        # le: little-endian, as in command sets and datasets
>
"""

import re
from collections.abc import Iterator

_TOKENS = re.compile(
    r"""\s+ | \#[^\n]* | "(?P<text>[^"\n]*)" | <(?P<block>[24](?:le)?) | (?P<end>>) | (?P<byte>[0-9a-f]{2})(?!\w)""",
    re.VERBOSE | re.IGNORECASE,
)


def parse_annotated(source: str) -> bytes:
    """Return the bytes that `source` stands for. Raise ValueError that names the line where it is at fault."""
    return _parse_block(_tokens(source), is_outermost=True)


def _parse_block(tokens: Iterator[tuple[str, str]], *, is_outermost: bool = False) -> bytes:
    data = bytearray()
    for kind, value in tokens:
        if kind == "end":
            if is_outermost:
                raise ValueError("a block ends that has not begun")
            return bytes(data)
        if kind == "block":
            block = _parse_block(tokens)
            data += len(block).to_bytes(int(value[0]), "little" if value.endswith("le") else "big") + block
        else:
            data += bytes.fromhex(value) if kind == "byte" else value.encode("latin-1")
    if not is_outermost:
        raise ValueError("a block does not end")
    return bytes(data)


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(source):
        match = _TOKENS.match(source, position)
        if match is None:
            raise ValueError(f"line {source.count(chr(10), 0, position) + 1}: {source[position : position + 20]!r}")
        position = match.end()
        if match.lastgroup:
            yield match.lastgroup, match[match.lastgroup]
