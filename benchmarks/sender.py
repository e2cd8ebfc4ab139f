"""A sender: the process of one association. It stores one instance after the other and notes when each was answered."""

import resource
import time
from array import array
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.datasets import Content, Identity, templates_of
from benchmarks.errors import BenchmarkError
from benchmarks.forked import settle_in
from benchmarks.message import Message
from benchmarks.requestor import Requestor

_MAX_MESSAGE_ID = 0xFFFF
_GOLDEN_RATIO = 0.618
"""Its multiples, modulo 1, spread the paced associations evenly over their interval, however many there are."""


@dataclass(frozen=True)
class Assignment:
    """What a sender is to do."""

    round_number: int
    association: int
    content: Content
    max_pdu_bytes: int
    """The workload's; the peer may allow less."""
    instances: int
    """Send so many at most."""
    seconds: float
    """Begin none after so many seconds."""
    instances_per_second: float | None = None
    """Send at this pace; without one as fast as the peer answers."""


@dataclass(frozen=True)
class Sent:
    """What a sender has done."""

    association: int
    answered: "array[float]"  # subscriptable since Python 3.12
    """When the response with Success came, for each instance, on the monotonic clock."""
    latencies_seconds: "array[float]"
    sizes_bytes: "array[int]"
    cpu_seconds: float


def send(assignment: Assignment, port: int, control: Connection) -> None:
    """Associate, say "ready", wait for the moment to begin, send, hand back `Sent`; or an error as a text."""
    settle_in()
    try:
        _send(assignment, port, control)
    except (BenchmarkError, OSError) as error:
        control.send(f"association {assignment.association}: {error}")


def _send(assignment: Assignment, port: int, control: Connection) -> None:
    templates = templates_of(assignment.content)
    requestor = Requestor(port, templates[0].sop_class_uid, templates[0].transfer_syntax_uid)
    max_pdu_bytes = min(requestor.max_pdu_bytes, assignment.max_pdu_bytes)
    messages = [Message(template, max_pdu_bytes) for template in templates]
    control.send(None)
    begin: float = control.recv()
    time.sleep(max(begin - time.monotonic(), 0))
    sent = _send_all(assignment, requestor, messages, begin)
    requestor.release()
    control.send(sent)


def _send_all(assignment: Assignment, requestor: Requestor, messages: list[Message], begin: float) -> Sent:
    clock = time.monotonic
    per_series = assignment.content.instances_per_series
    interval = 1 / assignment.instances_per_second if assignment.instances_per_second else 0.0
    first_due = begin + assignment.association * _GOLDEN_RATIO % 1 * interval
    answered, latencies, sizes = array("d"), array("d"), array("q")
    deadline = begin + assignment.seconds
    cpu_before = _cpu_seconds()
    for number in range(assignment.instances):
        message = messages[number % len(messages)]
        message_id = number % _MAX_MESSAGE_ID + 1
        message.address(Identity(assignment.round_number, assignment.association, number, per_series), message_id)
        if interval:
            time.sleep(max(first_due + number * interval - clock(), 0))
        began = clock()
        if began > deadline:
            break
        requestor.store(message, message_id)
        ended = clock()
        answered.append(ended)
        latencies.append(ended - began)
        sizes.append(message.size_bytes)
    return Sent(assignment.association, answered, latencies, sizes, _cpu_seconds() - cpu_before)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
