"""What is different to whoever uses the database, generation by generation. Nobody else need know one by its name."""

from typing import NamedTuple


class Traits(NamedTuple):
    """One fact each, so that a further generation may have any of them."""

    name: str
    """What the generation is called in `oxidicom status`."""
    registers_metadata: bool
    """"Oxidicom Custom Metadata" has rows."""
    registers_series: bool
    """A series has a row of its own."""
    people_delete_series: bool
    """A file without a row may be one that was deleted, of which CUBE could not remove the file."""
