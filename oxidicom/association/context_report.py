"""What a peer proposed in vain, in words for the log: pure, and short whatever is proposed (PS3.8, 9.3.2.2).

A SOP class counts as refused when none of the contexts that were proposed for it is accepted: many senders propose a
context for each transfer syntax.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from oxidicom.association.associate import AnsweredContext, ContextResult, ProposedContext
from oxidicom.association.syntaxes import is_for_storage, name_of_uid
from oxidicom.association.uids import shown_uid

_MAX_CLASSES: Final = 5
_MAX_SYNTAXES: Final = 3
_MAX_NAME: Final = 64
_REASONS: Final = {
    ContextResult.USER_REJECTION: "only the role of SCP was proposed",
    ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED: "abstract syntax not supported",
    ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED: "transfer syntaxes not supported",
}


class ContextReport(NamedTuple):
    """What became of a proposal of which not every SOP class is accepted."""

    proposed: int
    """Number of presentation contexts."""
    accepted: int
    refused: str
    """The SOP classes that were refused: name, UID, reason, and the transfer syntaxes proposed."""
    is_trouble: bool
    """Nothing at all is accepted, or something of storage is not."""


def report_contexts(proposed: Sequence[ProposedContext], answered: Sequence[AnsweredContext]) -> ContextReport | None:
    """Return what to say of a proposal and its answer, in the same order; None when every SOP class is accepted."""
    if answered and all(context.is_accepted for context in answered):
        return None  # so it is for most
    accepted_uids = {context.abstract_syntax_uid for context in answered if context.is_accepted}
    refused: dict[str, tuple[ContextResult, dict[str, None]]] = {}
    for context, answer in zip(proposed, answered, strict=True):
        if context.abstract_syntax_uid not in accepted_uids:
            _, syntaxes = refused.setdefault(context.abstract_syntax_uid, (answer.result, {}))
            syntaxes.update(dict.fromkeys(context.transfer_syntax_uids))
    if not refused and accepted_uids:
        return None
    sentences = [_sentence(uid, *what) for uid, what in list(refused.items())[:_MAX_CLASSES]]
    return ContextReport(
        proposed=len(proposed),
        accepted=sum(context.is_accepted for context in answered),
        refused="; ".join([*sentences, *_rest(len(refused), _MAX_CLASSES)]) or "nothing was proposed",
        is_trouble=not accepted_uids or any(map(is_for_storage, refused)),
    )


def _sentence(uid: str, result: ContextResult, syntaxes: Iterable[str]) -> str:
    sentence = f"{_named(uid)}: {_REASONS[result]}"
    if result is not ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED:
        return sentence
    all_of_them = list(syntaxes)
    named = [_named(syntax) for syntax in all_of_them[:_MAX_SYNTAXES]]
    return f"{sentence} ({', '.join([*named, *_rest(len(all_of_them), _MAX_SYNTAXES)]) or 'none proposed'})"


def _named(uid: str) -> str:
    name = name_of_uid(uid)
    return f"{name[:_MAX_NAME]} {uid}" if name else shown_uid(uid)


def _rest(count: int, shown: int) -> list[str]:
    return [f"and {count - shown} more"] if count > shown else []
