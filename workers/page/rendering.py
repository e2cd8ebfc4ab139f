"""The HTML of the page: templates, into which Jinja puts every value escaped.

Each section of the page has a template, and is made anew only when what it shows has changed.
"""

import operator
from collections.abc import Callable, Mapping
from importlib import resources

import jinja2
from markupsafe import Markup

from oxidicom import __version__
from workers.page.filters import FILTERS
from workers.page.plots import HEIGHT, WIDTH, plot_of
from workers.page.status import Status

_PLOT_SECONDS = 10
_VALUES_OF_HOUR = {
    name: operator.attrgetter(name) for name in ("received_per_second", "registered_per_second", "lag_seconds")
}
"""What the plots show, by the names that the templates use."""


def _title(status: Status) -> object:
    return status.ae_title, status.port, status.phase, status.judgement


def _numbers(status: Status) -> object:
    last = status.hour[-1] if status.hour else None
    return status.totals, status.waiting.entries, len(status.set_aside.associations) + status.set_aside.more, last


_SHOWN: Mapping[str, Callable[[Status], object]] = {
    "judgement": _title,
    "numbers": _numbers,
    "under-way": lambda status: status.under_way,
    "hour": lambda status: (status.hour, int(status.at.timestamp()) // _PLOT_SECONDS if status.hour else 0),
    "pacs": lambda status: (status.pacs, status.rejections),
    "series": lambda status: status.series,
    "aside": lambda status: (status.waiting, status.set_aside),
    "house": lambda status: (status.storage, status.tls, status.database),
}
"""The sections in their order, with what each shows."""


class Renderer:
    """Makes HTML of a status."""

    def __init__(self) -> None:
        """Read the templates."""
        environment = jinja2.Environment(
            loader=jinja2.FunctionLoader(lambda name: asset(f"templates/{name}").decode()),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(FILTERS)
        environment.globals.update(
            plot_of=plot_of, plot_width=WIDTH, plot_height=HEIGHT, version=__version__, **_VALUES_OF_HOUR
        )
        self._page = environment.get_template("page.html")
        self._templates = {name: environment.get_template(f"{name}.html") for name in _SHOWN}
        self._shown: dict[str, object] = {}
        self._sections: dict[str, Markup] = {}

    def sections(self, status: Status) -> Mapping[str, Markup]:
        """Return the HTML of each section, in their order."""
        for name, shown_by in _SHOWN.items():
            shown = shown_by(status)
            if name not in self._sections or shown != self._shown[name]:
                self._shown[name] = shown
                self._sections[name] = Markup(self._templates[name].render(status=status))  # noqa: S704 (autoescaped)
        return dict(self._sections)

    def page(self, status: Status) -> str:
        """Return the whole page."""
        return self._page.render(status=status, sections=self.sections(status))


def asset(name: str) -> bytes:
    """Return a file of the page."""
    return resources.files("workers.page").joinpath("assets", name).read_bytes()
