"""The address book of the PACS: which host and port to ask on behalf of which calling AE title."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class PacsAddress:
    """Where a PACS answers C-FIND and C-ECHO."""

    ae_title: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title}={host}:{self.port}"


def parse_address_book(text: str) -> dict[str, PacsAddress]:
    """Parse `AET=host:port` pairs, comma-separated, into addresses by AE title.

    Blanks and empty pairs are ignored; an IPv6 address stands in brackets. `{AET="host:port"}` is understood as well:
    so later releases of the Rust gateway wanted it. Raise ValueError that names the pair.
    """
    book: dict[str, PacsAddress] = {}
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].replace('"', "")
    for pair in filter(None, (part.strip() for part in text.split(","))):
        address = _parse_pair(pair)
        if address.ae_title in book:
            raise ValueError(f"{address.ae_title!r} is named twice")
        book[address.ae_title] = address
    return book


def _parse_pair(pair: str) -> PacsAddress:
    ae_title, equals, location = (part.strip() for part in pair.partition("="))
    host, colon, port = location.rpartition(":")
    if not (ae_title and equals and host and colon):
        raise ValueError(f"{pair!r} is not of the form AET=host:port (IPv6: AET=[::1]:104)")
    bare_host = host.strip()
    if bare_host.startswith("[") and bare_host.endswith("]"):
        bare_host = bare_host[1:-1]
    elif ":" in bare_host:
        raise ValueError(f"{pair!r}: an IPv6 address stands in brackets, AET=[::1]:104")
    if not (port.strip().isascii() and port.strip().isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{pair!r}: the port must be a number from 1 to 65535")
    if len(ae_title) > 16:
        raise ValueError(f"{pair!r}: an AE title has at most 16 characters")
    return PacsAddress(ae_title, bare_host, int(port))
