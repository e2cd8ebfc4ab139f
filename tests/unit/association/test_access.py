"""Who may open an association: by AE title, by network, by the AE title that is called."""

from typing import Any

import pytest
from pynetdicom.pdu import A_ASSOCIATE_RJ

from oxidicom.association.acceptor import Acceptor, AssociationState
from oxidicom.association.access import AllowedPeer, is_allowed, is_welcome, parse_allowed_peers
from oxidicom.association.associate import decode_associate_rq
from oxidicom.association.events import AssociationRejected
from oxidicom.association.negotiation import NO_ROOM, AcceptancePolicy, Accepted, Rejected, negotiate
from oxidicom.association.pdu import PresentationRejectReason, RejectResult, RejectSource, UserRejectReason
from tests.unit.association.association_peer import Listener, associate_rq, decode_pdus, store_rq, with_calling_ae_title


def answer(policy: AcceptancePolicy, address: str = "10.1.2.3", **proposal: Any) -> Accepted | Rejected:
    request = decode_associate_rq(memoryview(associate_rq(**proposal))[6:])
    return negotiate(request, policy, address)


def rejected(reason: UserRejectReason) -> Rejected:
    return Rejected(RejectResult.PERMANENT, RejectSource.SERVICE_USER, reason)


@pytest.mark.parametrize(
    ("allowed", "address", "expected"),
    [
        ("PACS", "192.0.2.1", True),
        ("OTHER", "192.0.2.1", False),
        ("pacs", "192.0.2.1", False),
        ("OTHER, PACS", "192.0.2.1", True),
        ("PACS@10.1.2.0/24", "10.1.2.255", True),
        ("PACS@10.1.2.0/24", "10.1.3.1", False),
        ("PACS@10.1.2.3", "10.1.2.3", True),
        ("PACS@10.1.2.3", "10.1.2.4", False),
        ("PACS@10.1.2.0/24", "fd00::1", False),
        ("PACS@fd00::/8", "fd12::1", True),
        ("PACS@fe80::/10", "fe80::1%eth0", True),
        ("PACS@10.1.2.3,PACS@10.9.0.0/16", "10.9.1.1", True),
        ("OTHER@10.1.2.0/24", "10.1.2.3", False),
    ],
)
def test_a_peer_is_allowed_by_its_ae_title_and_network(allowed: str, address: str, expected: bool) -> None:
    peers = parse_allowed_peers(allowed)
    assert is_allowed(peers, "PACS", address) is expected
    refusal = rejected(UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED)
    given = answer(AcceptancePolicy(allowed_peers=peers), address)
    assert isinstance(given, Accepted) if expected else given == refusal


def test_an_at_sign_may_be_part_of_an_ae_title() -> None:
    assert [str(peer) for peer in parse_allowed_peers("A@B@10.0.0.1")] == ["A@B@10.0.0.1/32"]
    assert parse_allowed_peers("A@B@10.0.0.1")[0].ae_title == "A@B"


@pytest.mark.parametrize("text", [",", " , ", "A@", "A@host", "A@10.1.2.3/24", "@::/8", "A" * 17, "A@10.0.0.0/33"])
def test_a_list_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names nobody|AE title|give an address"):
        parse_allowed_peers(text)


def test_without_a_list_everybody_is_allowed() -> None:
    assert isinstance(answer(AcceptancePolicy()), Accepted)


def test_the_called_ae_title_is_compared_on_request_only() -> None:
    assert isinstance(answer(AcceptancePolicy(ae_title="OTHER")), Accepted)
    refusal = rejected(UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED)
    assert answer(AcceptancePolicy(ae_title="OTHER", check_called_ae_title=True)) == refusal
    assert isinstance(answer(AcceptancePolicy(ae_title="ChRIS", check_called_ae_title=True)), Accepted)


@pytest.mark.parametrize("raw", [b"PACS".ljust(16, b"\0"), b" PACS\0 ".ljust(16), b"PACS".ljust(16)])
def test_an_ae_title_is_compared_without_its_padding(raw: bytes) -> None:
    body = with_calling_ae_title(associate_rq(), raw)[6:]
    policy = AcceptancePolicy(allowed_peers=(AllowedPeer("PACS"),))
    assert isinstance(negotiate(decode_associate_rq(memoryview(body)), policy, "10.1.2.3"), Accepted)


def test_a_rejection_on_the_wire_has_result_source_and_reason() -> None:
    policy = AcceptancePolicy(allowed_peers=(AllowedPeer("OTHER"),))
    listener = Listener(Acceptor(policy, "10.1.2.3")).receive(associate_rq() + store_rq(b"ignored"))
    (event,) = listener.events
    assert isinstance(event, AssociationRejected)
    (pdu,) = decode_pdus(listener.sent)
    assert isinstance(pdu, A_ASSOCIATE_RJ)
    assert (pdu.result, pdu.source, pdu.reason_diagnostic) == (1, 1, 3)


def test_the_owner_of_the_connection_may_reject_a_request_that_nothing_speaks_against() -> None:
    listener = Listener(Acceptor(AcceptancePolicy()), refusal=NO_ROOM).receive(associate_rq() + store_rq(b"ignored"))
    (event,) = listener.events
    assert isinstance(event, AssociationRejected)
    assert event.reason is PresentationRejectReason.LOCAL_LIMIT_EXCEEDED
    (pdu,) = decode_pdus(listener.sent)
    assert isinstance(pdu, A_ASSOCIATE_RJ)
    assert (pdu.result, pdu.source, pdu.reason_diagnostic) == (2, 3, 2)
    assert listener.acceptor.state is AssociationState.AWAITING_CLOSE


def test_a_request_that_cannot_be_accepted_is_rejected_for_good_even_when_there_is_no_room() -> None:
    policy = AcceptancePolicy(check_called_ae_title=True, ae_title="OTHER")
    listener = Listener(Acceptor(policy), refusal=NO_ROOM).receive(associate_rq())
    (pdu,) = decode_pdus(listener.sent)
    assert isinstance(pdu, A_ASSOCIATE_RJ)
    assert (pdu.result, pdu.source, pdu.reason_diagnostic) == (1, 1, 7)


@pytest.mark.parametrize(
    ("allowed", "address", "welcome"),
    [
        ("", "10.1.2.3", True),
        ("PACS", "10.1.2.3", True),
        ("PACS@10.1.2.0/24", "10.1.2.3", True),
        ("PACS@10.1.2.0/24", "10.1.3.3", False),
        ("PACS@10.1.2.0/24", "fd00::1", False),
        ("PACS@10.1.2.0/24,OTHER@fd00::/8", "fd00::1", True),
        ("PACS@10.1.2.0/24,ANYWHERE", "10.1.3.3", True),
        ("PACS@fe80::/10", "fe80::1%eth0", True),
    ],
)
def test_who_is_welcome_is_told_before_it_says_its_ae_title(allowed: str, address: str, welcome: bool) -> None:
    assert is_welcome(parse_allowed_peers(allowed) if allowed else (), address) is welcome
