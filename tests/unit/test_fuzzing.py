"""The judges of `make fuzz`, with hypothesis: seeds that are damaged, cut, repeated and put together anew."""

import warnings

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fuzzing import conversations, datasets
from fuzzing.annotated import parse_annotated
from oxidicom.association.acceptor import Acceptor
from oxidicom.association.events import AssociationAccepted, DataEnded, Echoed, ProtocolViolated, ReleaseRequested


@st.composite
def mutations(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Return a seed after some accidents."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        count = draw(st.integers(0, 64))
        match draw(st.sampled_from(("change", "insert", "delete", "repeat", "splice", "length"))):
            case "change":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                data[at:at] = draw(st.binary(max_size=32))
            case "delete":
                del data[at : at + count]
            case "repeat":
                data[at:at] = data[at : at + count] * draw(st.integers(1, 20))
            case "splice":
                data[at:at] = draw(st.sampled_from(seeds))[1:]
            case "length":
                size = draw(st.sampled_from((2, 4)))
                value = draw(st.sampled_from((0, 1, 2, 0x7F, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
                data[at : at + size] = (value & (256**size - 1)).to_bytes(
                    size, draw(st.sampled_from(("big", "little")))
                )
    if draw(st.booleans()):
        data[:1] = draw(st.binary(min_size=1, max_size=1))
    return bytes(data)


RELAXED = settings(
    max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@RELAXED
@given(mutations(conversations.seeds()))
@example(b"")
def test_whatever_a_peer_sends_is_progress_an_abort_or_a_refusal(data: bytes) -> None:
    conversations.judge_conversation(data)


@RELAXED
@given(mutations(datasets.seeds()))
@example(b"")
def test_whatever_claims_to_be_a_dataset_is_described_or_refused(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of odd datasets
        datasets.judge_bytes(data)


def test_the_seeds_reach_what_they_are_meant_to() -> None:
    reached = {type(event) for seed in conversations.seeds() for event in conversations.judge_conversation(seed)}
    assert {AssociationAccepted, DataEnded, Echoed, ProtocolViolated, ReleaseRequested} <= reached
    stored = [seed for seed in datasets.seeds() if not seed[0] & (datasets.FILE_META | datasets.SERIES)]
    syntaxes = [datasets.TRANSFER_SYNTAXES[seed[0] & datasets.SYNTAX] for seed in stored]
    statuses = {datasets.judge_dataset(seed[1:], syntax) for seed, syntax in zip(stored, syntaxes, strict=True)}
    assert statuses == {0x0000, 0xC000}


def test_the_judge_finds_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("fuzzing.datasets.describe", fail)
    with pytest.raises(RecursionError):
        conversations.judge_conversation(next(seed for seed in conversations.seeds() if b"OW" in seed))


def test_the_judge_finds_a_dataset_that_is_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxidicom.stencil.Stencil.fits", lambda *_: True)
    with pytest.raises(AssertionError):
        for seed in datasets.seeds():
            if seed[0] & datasets.SERIES:
                datasets.judge_bytes(seed)


def test_the_judge_finds_an_answer_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Acceptor, "respond", lambda *_: None)
    with pytest.raises(AssertionError, match="each request has its answer"):
        conversations.judge_conversation(next(seed for seed in conversations.seeds() if b"OW" in seed))


def test_the_judge_finds_an_abort_of_another_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxidicom.association.acceptor.encode_abort", lambda *_: bytes.fromhex("07000000000400000203"))
    with pytest.raises(AssertionError):
        conversations.judge_conversation(next(seed for seed in conversations.seeds() if b"GET" in seed))


def test_the_language_of_the_seeds() -> None:
    assert parse_annotated('01 ff # comment "\n"A\\B" <2 "xy" <4le > >') == b"\x01\xffA\\B\0\x06xy\0\0\0\0"
    for fault in ("0", "01 zz", '"open', "01 >", "<2 01"):
        with pytest.raises(ValueError, match=r"line 1|has not begun|does not end"):
            parse_annotated(fault)
