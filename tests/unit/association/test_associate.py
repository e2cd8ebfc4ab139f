"""A-ASSOCIATE-RQ as pynetdicom and as nobody encodes it; A-ASSOCIATE-AC as pynetdicom decodes it."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationVersionNameNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

import oxidicom
from oxidicom.association.associate import (
    AnsweredContext,
    AssociationRequest,
    ContextResult,
    RoleSelection,
    decode_associate_rq,
    encode_associate_ac,
)
from oxidicom.association.pdu import AbortReason
from oxidicom.errors import ProtocolError
from tests.unit.association.association_peer import (
    CONTEXTS,
    CT,
    EXPLICIT,
    IMPLICIT,
    UserInformation,
    associate_rq,
    with_calling_ae_title,
)

FIXED_FIELDS = pack(">H2x16s16s32s", 1, b"ChRIS".ljust(16), b"PACS".ljust(16), bytes(range(32)))


def decode(pdu: bytes) -> AssociationRequest:
    return decode_associate_rq(memoryview(pdu)[6:])


def item(item_type: int, value: bytes) -> bytes:
    return pack(">BxH", item_type, len(value)) + value


def context_item(context_id: int, *uids: tuple[int, bytes]) -> bytes:
    return item(0x20, bytes((context_id, 0, 0, 0)) + b"".join(item(kind, uid) for kind, uid in uids))


def extras() -> list[UserInformation]:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 0
    window.maximum_number_operations_performed = 5
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "PACS 1.0"
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\2\0"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    identity.positive_response_requested = True
    return [window, role, version, extended, common, identity]


def test_request_of_pynetdicom() -> None:
    request = decode(associate_rq(user_information=extras(), max_pdu_length=32768))
    assert (request.called_ae_title, request.calling_ae_title) == ("ChRIS", "PACS")
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"
    contexts = [(c.context_id, c.abstract_syntax_uid, c.transfer_syntax_uids) for c in request.contexts]
    assert contexts == list(CONTEXTS)
    assert request.max_pdu_length == 32768
    assert request.implementation_class_uid == "1.2.3.4"
    assert request.implementation_version_name == "PACS 1.0"
    assert request.role_selections == (RoleSelection(CT, scu=True, scp=True),)
    assert request.asynchronous_operations_window == (0, 5)
    assert request.proposes_user_identity


def test_request_with_little_in_it() -> None:
    request = decode_associate_rq(memoryview(FIXED_FIELDS))
    assert (request.contexts, request.max_pdu_length, request.application_context_name) == ((), 0, "")
    assert request.asynchronous_operations_window is None
    assert not request.proposes_user_identity


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"\xc9COLE".ljust(16), "ÉCOLE"),
        (b"A\\B".ljust(16), "A\\B"),
        (b"PACS".ljust(16, b"\0"), "PACS"),
        (b" PACS \0 ".ljust(16), "PACS"),
        (b" " * 16, ""),
        (bytes(16), ""),
    ],
)
def test_ae_titles_of_all_sorts(raw: bytes, title: str) -> None:
    request = decode(with_calling_ae_title(associate_rq(), raw))
    assert request.calling_ae_title == title
    assert request.calling_ae_title_bytes == raw


def test_padded_uids_unknown_items_and_trailing_bytes_are_tolerated() -> None:
    body = (
        FIXED_FIELDS
        + item(0x99, b"unknown")
        + item(0x10, b"1.2.840.10008.3.1.1.1\0")
        + context_item(1, (0x30, CT.encode() + b"\0"), (0x41, b"?"), (0x40, EXPLICIT.encode() + b" \0"))
        + item(0x50, item(0x5F, b"unknown") + item(0x51, pack(">L", 9)) + b"\0\0")
        + b"\0\0\0"
    )
    request = decode_associate_rq(memoryview(body))
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"
    (context,) = request.contexts
    assert (context.abstract_syntax_uid, context.transfer_syntax_uids) == (CT, (EXPLICIT,))
    assert request.max_pdu_length == 9


ABSTRACT = (0x30, CT.encode())
DAMAGED = {
    "fixed fields cut": FIXED_FIELDS[:-1],
    "item longer than the PDU": FIXED_FIELDS + pack(">BxH", 0x10, 5) + b"1.2",
    "context without fixed fields": FIXED_FIELDS + item(0x20, b"\1\0\0"),
    "no abstract syntax": FIXED_FIELDS + context_item(1, (0x40, b"1.2")),
    "two abstract syntaxes": FIXED_FIELDS + context_item(1, ABSTRACT, ABSTRACT),
    "sub-item longer than its item": FIXED_FIELDS + item(0x20, b"\1\0\0\0" + pack(">BxH", 0x30, 9) + b"1"),
    "short maximum length": FIXED_FIELDS + item(0x50, item(0x51, b"\0\0\1")),
    "short window": FIXED_FIELDS + item(0x50, item(0x53, b"\0\1\0")),
    "role without UID": FIXED_FIELDS + item(0x50, item(0x54, b"\0")),
    "role longer than its item": FIXED_FIELDS + item(0x50, item(0x54, b"\xff\xff1.2\1\1")),
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_damaged_request_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        decode_associate_rq(memoryview(body))
    assert raised.value.abort_reason == AbortReason.INVALID_PDU_PARAMETER


@pytest.mark.parametrize("context_id", [0, 2, 254])
def test_even_context_ids_are_tolerated(context_id: int) -> None:
    request = decode_associate_rq(memoryview(FIXED_FIELDS + context_item(context_id, ABSTRACT, (0x40, b"1.2"))))
    assert [context.context_id for context in request.contexts] == [context_id]


def test_of_several_contexts_under_one_id_the_first_counts() -> None:
    items = [
        context_item(number, (0x30, uid), (0x40, b"1.2")) for number, uid in ((1, b"1.1"), (3, b"1.2"), (1, b"1.3"))
    ]
    request = decode_associate_rq(memoryview(FIXED_FIELDS + b"".join(items)))
    assert [(one.context_id, one.abstract_syntax_uid) for one in request.contexts] == [(1, "1.1"), (3, "1.2")]


@given(st.integers(6, len(associate_rq()) - 1))
def test_request_cut_anywhere_is_decoded_or_refused(end: int) -> None:
    try:
        request = decode(associate_rq()[:end])
    except ProtocolError:
        return
    assert len(request.contexts) <= len(CONTEXTS)


def test_answer_is_what_pynetdicom_understands() -> None:
    request = decode_associate_rq(
        memoryview(FIXED_FIELDS + item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x50, item(0x53, pack(">HH", 3, 0))))
    )
    contexts = [
        AnsweredContext(1, ContextResult.ACCEPTANCE, CT, EXPLICIT),
        AnsweredContext(255, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, "1.2", IMPLICIT),
    ]
    encoded = encode_associate_ac(request, contexts, [RoleSelection(CT, scu=True, scp=False)], 131072)
    assert encoded[10:74] == FIXED_FIELDS[4:]
    pdu = A_ASSOCIATE_AC()
    pdu.decode(encoded)
    assert pdu.application_context_name == "1.2.840.10008.3.1.1.1"
    answers = [(c.context_id, c.result, c.transfer_syntax) for c in pdu.presentation_context]
    assert answers == [(1, 0, EXPLICIT), (255, 3, IMPLICIT)]
    information = pdu.user_information
    assert information.maximum_length == 131072
    assert information.implementation_class_uid == oxidicom.IMPLEMENTATION_CLASS_UID
    assert information.implementation_version_name == oxidicom.IMPLEMENTATION_VERSION_NAME
    window = information.async_ops_window
    assert (window.maximum_number_operations_invoked, window.maximum_number_operations_performed) == (3, 0)
    (role,) = information.role_selection.values()
    assert (role.uid, role.scu, role.scp) == (CT, 1, 0)
