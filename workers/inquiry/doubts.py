"""Series whose size a PACS does not tell: one warning for many of the same kind, with their count."""

import dataclasses
import time

from loguru import logger

_TELL_AGAIN_SECONDS = 60.0


@dataclasses.dataclass(slots=True)
class _DoubtKind:
    count: int = 0
    """Those that no line has told yet."""
    association: str = ""
    """That of the first of them."""
    told_at: float = float("-inf")


class Doubts:
    """The doubts about one PACS. A reason is told at once, then once a minute with the number that came meanwhile."""

    def __init__(self, ae_title: str) -> None:
        self._ae_title = ae_title
        self._kinds: dict[str, _DoubtKind] = {}

    def add(self, reason: str, association: str) -> None:
        """Note that a series is unknown for a reason."""
        kind = self._kinds.setdefault(reason, _DoubtKind())
        kind.association = kind.association or association
        kind.count += 1

    def tell(self, *, all_of_them: bool = False) -> None:
        """Log what is due, and forget the reasons of which nothing has come for a minute."""
        now = time.monotonic()
        for reason, kind in list(self._kinds.items()):
            if now - kind.told_at < _TELL_AGAIN_SECONDS and not all_of_them:
                continue
            if kind.count:
                self._log(reason, kind)
                self._kinds[reason] = _DoubtKind(told_at=now)
            else:
                del self._kinds[reason]

    def _log(self, reason: str, kind: _DoubtKind) -> None:
        logger.bind(association=kind.association).warning(
            "PACS {called_ae_title} did not say how many instances it has of {count} series: {reason}",
            called_ae_title=self._ae_title,
            count=kind.count,
            reason=reason,
            action="series_size_unknown",
        )
