"""Facts as spans: one `association` each, with `findscu` and `register` as children. Pure but for the writer."""

from oxidicom.telemetry.spans import SpanEvent, SpanWriter
from workers.channels.ending import EndKind
from workers.channels.facts import AssociationFinished, BatchRegistered, SeriesAsked


def trace_association(writer: SpanWriter, fact: AssociationFinished) -> None:
    """Write the span of an association; what did not end by a release, or was refused in part, is an error."""
    error = None
    if fact.ending.kind is not EndKind.RELEASED:
        error = str(fact.ending)
    elif fact.refused:
        error = "refused instances: " + ", ".join(f"{count} x {status}" for status, count in fact.refused.items())
    writer.association(
        fact.association,
        (fact.began_ns, fact.ended_ns),
        {
            "client.address": fact.peer_address,
            "client.port": fact.peer_port,
            "network.transport": "tcp",
            "dicom.calling_ae_title": fact.calling_ae_title,
            "dicom.called_ae_title": fact.called_ae_title,
            "dicom.contexts.accepted": fact.contexts_accepted,
            "dicom.contexts.rejected": fact.contexts_rejected,
            "oxidicom.association": fact.association,
            "oxidicom.instances.received": fact.received,
            "oxidicom.instances.committed": fact.committed,
            "oxidicom.instances.refused": sum(fact.refused.values()),
            "oxidicom.bytes": fact.bytes,
            "oxidicom.series": fact.series,
            "oxidicom.ended": str(fact.ending),
        },
        [
            SpanEvent(
                remark.time_ns,
                remark.name,
                {
                    "oxidicom.instance": remark.instance,
                    "dicom.status": remark.status,
                    "oxidicom.reason": remark.reason,
                },
            )
            for remark in fact.remarks
        ],
        error,
    )


def trace_series_asked(writer: SpanWriter, fact: SeriesAsked) -> None:
    """Write the span of a C-FIND."""
    attributes: dict[str, str | int] = {"dicom.called_ae_title": fact.ae_title}
    if fact.count is not None:
        attributes["dicom.number_of_series_related_instances"] = fact.count
    error = fact.reason if fact.count is None else None
    writer.child(fact.association, "findscu", (fact.began_ns, fact.ended_ns), attributes, error)


def trace_batch(writer: SpanWriter, fact: BatchRegistered) -> None:
    """Write one span of a transaction for each association that has rows in it."""
    for association, rows, duplicates in fact.shares:
        attributes = {
            "oxidicom.batch.rows": fact.rows,
            "oxidicom.rows": rows,
            "oxidicom.rows.duplicate": duplicates,
        }
        writer.child(association, "register", (fact.began_ns, fact.ended_ns), attributes)
