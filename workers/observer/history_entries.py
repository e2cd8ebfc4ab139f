"""What the history writes down of each fact."""

from oxidicom.history.records import AssociationEnd
from oxidicom.history.store import Transaction
from oxidicom.paths.private_root import moment_of
from workers.channels.ending import EndKind
from workers.channels.facts import (
    AssociationFinished,
    AssociationRegistered,
    Fact,
    InstancesRefused,
    SeriesReceived,
)


def enter(transaction: Transaction, fact: Fact, gateway: str) -> None:
    """Write down a fact, of which the gateway of that ULID tells."""
    match fact:
        case AssociationFinished():
            transaction.ended(_end_of(fact, gateway))
        case InstancesRefused():
            transaction.refused(fact.association, fact.refusals)
        case SeriesReceived():
            transaction.series(fact.association, fact.series)
        case AssociationRegistered():
            transaction.registered(_registered_end_of(fact, gateway))
            transaction.series(fact.association, fact.series)


def _end_of(fact: AssociationFinished, gateway: str) -> AssociationEnd:
    address = f"[{fact.peer_address}]" if ":" in fact.peer_address else fact.peer_address
    return AssociationEnd(
        fact.association,
        gateway,
        fact.began_ns,
        fact.ended_ns,
        f"{address}:{fact.peer_port}",
        fact.calling_ae_title,
        fact.called_ae_title,
        f"{fact.ending} ({fact.explanation})" if fact.explanation else str(fact.ending),
        fact.committed,
        fact.bytes,
        is_rejected=fact.ending.kind in (EndKind.REJECTED, EndKind.TURNED_AWAY),
        is_settled=not fact.committed,
        tls=fact.tls,
        received=fact.received,
        warned=fact.warned,
        refused=fact.refused,
    )


def _registered_end_of(fact: AssociationRegistered, gateway: str) -> AssociationEnd:
    began = moment_of(fact.association)
    began_ns = int(began.timestamp() * 1e9) if began else fact.ended_ns
    return AssociationEnd(
        fact.association,
        gateway,
        began_ns,
        max(began_ns, fact.ended_ns),
        fact.peer,
        fact.calling_ae_title,
        fact.called_ae_title,
        fact.how,
        fact.stored,
        fact.bytes,
        is_settled=fact.is_last,
        refused={"unknown": fact.refused} if fact.refused else {},
    )
