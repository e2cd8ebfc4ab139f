"""The tables of CUBE that the embedded database may have: those of each generation in a database of its own."""

from importlib import resources
from typing import Literal

Schema = Literal["flat", "folders"]

DATABASES: dict[Schema, str] = {"flat": "oxidicom", "folders": "oxidicom_folders"}
"""The names of the databases: one who changes his mind finds his rows again."""

_FILES: dict[Schema, tuple[str, ...]] = {
    "flat": ("flat.sql",),
    "folders": ("folders-6.0.sql", "folders-6.3.sql", "folders-6.10.sql"),
}


def statements_of(schema: Schema) -> list[str]:
    """Return what makes the tables, to be executed one after the other; where they are already nothing changes."""
    directory = resources.files("oxidicom.cube").joinpath("schema")
    return [directory.joinpath(name).read_text("utf-8") for name in _FILES[schema]]
