"""The table of docs/settings.md, of what the settings say of themselves: `make settings-page` writes it anew."""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from oxidicom.setting_groups import grouped_fields

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
_BETWEEN = re.compile(r"(?<=<!-- begin)([^\n]*-->\n).*(?=<!-- end -->)", re.DOTALL)
_COMPUTED = {
    "TOKIO_WORKER_THREADS": "number of CPUs, at most 4",
    "CHRIS_PACS_ADDRESS": "empty",
    "CHRIS_STORAGE_RESERVE_BYTES": "1 GiB or 1 %, whichever is less",
    "CHRIS_UMASK": "`022`",
    "CHRIS_PROXY_TRUSTED": "`127.0.0.0/8,::1`",
    "CHRIS_SCP_ALLOWED_AETS": "empty",
    "CHRIS_NATS_ADDRESS": "empty",
    "CHRIS_PROGRESS_INTERVAL": "`500ms`",
}


def with_settings(page: str) -> str:
    """Return the page with the tables of all settings between its two marks."""
    tables = "\n".join(_lines())
    return _BETWEEN.sub(lambda begun: f"{begun[1]}{tables}\n", page)


def _lines() -> Iterator[str]:
    for heading, fields in grouped_fields():
        yield f"\n## {heading}\n"
        yield "| variable | default | meaning |\n|---|---|---|"
        for variable, field in fields:
            default = "**required**" if field.is_required() else shown_default(variable, field)
            yield f"| `{variable}` | {default} | {field.description} |"


def shown_default(variable: str, field: FieldInfo) -> str:
    """Return the default of a setting as a page shows it."""
    if variable in _COMPUTED:
        return _COMPUTED[variable]
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    if field.default == "":
        return "empty"
    if field.default is None:
        return "none"
    return f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"


if __name__ == "__main__":
    PAGE.write_text(with_settings(PAGE.read_text("utf-8")), "utf-8")
