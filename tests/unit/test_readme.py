"""The table of settings in the README is that of the settings."""

from pathlib import Path

from oxidicom.settings import Settings

README = Path(__file__).parents[2] / "README.md"
_COMPUTED = {
    "TOKIO_WORKER_THREADS": "number of CPUs, at most 4",
    "CHRIS_PACS_ADDRESS": "empty",
    "CHRIS_STORAGE_RESERVE_BYTES": "1 GiB or 1 %, whichever is less",
    "CHRIS_UMASK": "022",
    "CHRIS_PROXY_TRUSTED": "`127.0.0.0/8,::1`",
    "CHRIS_SCP_ALLOWED_AETS": "empty",
    "CHRIS_NATS_ADDRESS": "empty",
    "CHRIS_PROGRESS_INTERVAL": "`500ms`",
}


def settings_table():
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for field in Settings.model_fields.values():
        default = "**required**" if field.is_required() else shown_default(field)
        lines.append(f"| `{field.alias}` | {default} | {field.description} |")
    return "\n".join(lines)


def shown_default(field):
    if field.alias in _COMPUTED:
        return _COMPUTED[field.alias]
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    if field.default == "":
        return "empty"
    if field.default is None:
        return "none"
    return f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"


def test_the_readme_has_every_setting_with_its_default():
    assert settings_table() in README.read_text()
