"""The HTML of the page: templates, into which Jinja puts every value escaped.

Each section of the page has a template, and is made anew only when what it shows has changed.
"""

import datetime
import operator
from collections.abc import Callable, Mapping
from importlib import resources

import jinja2
from markupsafe import Markup
from rich.filesize import decimal

from oxidicom import __version__
from oxidicom.wording import days_away, duration, noun_of
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
        environment.filters.update(
            bytes=decimal,
            count=_count,
            counted=_counted,
            rate=_rate,
            seconds=_seconds,
            clock=_clock,
            day=_day,
            days_away=days_away,
            age=duration,
        )
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


# -- filters -----------------------------------------------------------------------------------------------------------


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _counted(number: int, noun: str) -> str:
    return f"{_count(number)} {noun_of(number, noun)}"


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 or per_second == int(per_second) else f"{per_second:.1f}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _clock(moment: datetime.datetime | None) -> Markup:
    """Return a moment as an element that a script can turn into local time."""
    if moment is None:
        return Markup("–")
    whole = moment.replace(microsecond=0)
    return Markup('<time datetime="{}">{}</time>').format(whole.isoformat(), f"{whole:%Y-%m-%d %H:%M:%S} UTC")


def _day(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d}"
