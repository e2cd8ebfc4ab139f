"""The answer to a proposal; pynetdicom's negotiation is the oracle where its rules are ours."""

import subprocess
import sys
from typing import Any

import pydicom.uid
import pynetdicom.sop_class
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.presentation import negotiate_as_acceptor

from oxidicom.association.associate import (
    AnsweredContext,
    AssociationRequest,
    ContextResult,
    ProposedContext,
    RoleSelection,
)
from oxidicom.association.negotiation import (
    AcceptancePolicy,
    Accepted,
    Rejected,
    negotiate,
    unusable_calling_ae_title,
)
from oxidicom.association.pdu import AcseRejectReason, RejectResult, RejectSource, UserRejectReason
from oxidicom.association.syntaxes import TRANSFER_SYNTAXES, is_storage_class, supports_abstract_syntax
from tests.unit.association.association_peer import CT, EXPLICIT, IMPLICIT, JPEG, MR, VERIFICATION, build_context

BIG_ENDIAN = "1.2.840.10008.1.2.2"
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"


def request(*contexts: tuple[int, str, list[str]], **fields: Any) -> AssociationRequest:
    defaults: dict[str, Any] = {
        "protocol_version": 1,
        "called_ae_title": "ChRIS",
        "calling_ae_title": "PACS",
        "called_ae_title_bytes": b"ChRIS".ljust(16),
        "calling_ae_title_bytes": b"PACS".ljust(16),
        "reserved_bytes": bytes(32),
        "application_context_name": "1.2.840.10008.3.1.1.1",
        "contexts": tuple(ProposedContext(number, uid, tuple(uids)) for number, uid, uids in contexts),
    }
    return AssociationRequest(**defaults | fields)


def answer_one(abstract_syntax: str, *transfer_syntaxes: str, uncompressed_only: bool = False) -> AnsweredContext:
    policy = AcceptancePolicy(uncompressed_only=uncompressed_only)
    answer = negotiate(request((1, abstract_syntax, list(transfer_syntaxes))), policy)
    assert isinstance(answer, Accepted)
    (context,) = answer.contexts
    return context


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        (["1.2.3", JPEG, EXPLICIT, IMPLICIT], JPEG),
        ([JPEG, IMPLICIT, EXPLICIT], JPEG),
        ([IMPLICIT, JPEG], IMPLICIT),
        ([IMPLICIT], IMPLICIT),
        ([IMPLICIT, EXPLICIT], EXPLICIT),
        ([IMPLICIT, JPEG, EXPLICIT], EXPLICIT),
        ([EXPLICIT, IMPLICIT], EXPLICIT),
        ([BIG_ENDIAN, IMPLICIT, EXPLICIT], BIG_ENDIAN),
    ],
)
@pytest.mark.parametrize("uncompressed_only", [False, True])
def test_the_first_transfer_syntax_wins_but_explicit_vr_is_preferred_to_implicit(
    proposed: list[str], chosen: str, uncompressed_only: bool
) -> None:
    if uncompressed_only and chosen == JPEG:
        chosen = EXPLICIT
    assert answer_one(CT, *proposed, uncompressed_only=uncompressed_only).transfer_syntax_uid == chosen


def test_even_and_repeated_context_ids_are_answered_under_their_own() -> None:
    answer = negotiate(request((2, CT, [IMPLICIT]), (0, MR, [JPEG]), (255, CT, [EXPLICIT])), AcceptancePolicy())
    assert isinstance(answer, Accepted)
    assert [(one.context_id, one.is_accepted) for one in answer.contexts] == [(2, True), (0, True), (255, True)]


def test_uncompressed_only() -> None:
    assert answer_one(CT, JPEG, EXPLICIT, uncompressed_only=True).transfer_syntax_uid == EXPLICIT
    deflated = answer_one(CT, JPEG, "1.2.840.10008.1.2.1.99", uncompressed_only=True)
    assert deflated.result is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED


@pytest.mark.parametrize("proposed", [(), ("1.2.3",), ("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.7.1")])
def test_no_acceptable_transfer_syntax(proposed: tuple[str, ...]) -> None:
    assert answer_one(CT, *proposed).result is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED


@pytest.mark.parametrize("uid", ["", "CT Image Storage", "1" * 65, "1.2\\3", PATIENT_ROOT_FIND, IMPLICIT])
def test_unsupported_abstract_syntax(uid: str) -> None:
    assert answer_one(uid, IMPLICIT).result is ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_private_class_is_accepted() -> None:
    assert answer_one(PRIVATE_CLASS, IMPLICIT).is_accepted
    assert is_storage_class(PRIVATE_CLASS)


@pytest.mark.parametrize("uid", [VERIFICATION, PATIENT_ROOT_FIND, IMPLICIT, "1.2.hash", ""])
def test_nothing_else_than_storage_is_a_storage_class(uid: str) -> None:
    assert not is_storage_class(uid)


def _classes_of_pynetdicom(name: str) -> list[str]:
    return [str(uid) for uid in getattr(pynetdicom.sop_class, name).values()]


def test_every_storage_class_that_pynetdicom_knows_is_supported() -> None:
    uids = _classes_of_pynetdicom("_STORAGE_CLASSES")
    assert [uid for uid in uids if not supports_abstract_syntax(uid)] == []
    assert len(uids) > 150
    assert supports_abstract_syntax("1.2.840.10008.5.1.4.1.1.6")  # Ultrasound Image Storage, retired
    assert supports_abstract_syntax(VERIFICATION)


OTHER_SERVICES = sorted(
    name
    for name in vars(pynetdicom.sop_class)
    if name.endswith("_CLASSES") and name not in ("_STORAGE_CLASSES", "_VERIFICATION_CLASSES", "_SERVICE_CLASSES")
)


@pytest.mark.parametrize("service", OTHER_SERVICES)
def test_classes_of_other_services_are_not_supported(service: str) -> None:
    assert [uid for uid in _classes_of_pynetdicom(service) if supports_abstract_syntax(uid)] == []


def test_the_tables_do_not_depend_on_who_was_imported_first() -> None:
    show = "import oxidicom.association.syntaxes as s; print(sorted(s.TRANSFER_SYNTAXES), sorted(s.STORAGE_CLASSES))"
    orders = ("", "import pynetdicom, pynetdicom.sop_class;")
    shown = {
        subprocess.run([sys.executable, "-c", order + show], capture_output=True, check=True, text=True).stdout
        for order in orders
    }
    assert len(shown) == 1


def test_transfer_syntaxes_are_those_of_pydicom_but_for_streams() -> None:
    missing = {uid.name for uid in pydicom.uid.AllTransferSyntaxes if uid not in TRANSFER_SYNTAXES}
    assert all(name.startswith(("JPIP", "SMPTE")) for name in missing)
    assert len(missing) == 5


@pytest.mark.parametrize("title", ["", " ", ".", "..", " .. ", "\t..", "\xa0", "\0", "\0.\0.\0", " \0"])
def test_calling_ae_title_that_is_no_directory(title: str) -> None:
    assert unusable_calling_ae_title(title)
    answer = negotiate(request((1, CT, [IMPLICIT]), calling_ae_title=title), AcceptancePolicy())
    expected = UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED
    assert answer == Rejected(RejectResult.PERMANENT, RejectSource.SERVICE_USER, expected)


@pytest.mark.parametrize("title", ["PACS", "...", "É", "\\", "A/B", "-", "." + "_"])
def test_calling_ae_title_that_is_usable(title: str) -> None:
    assert not unusable_calling_ae_title(title)


def test_protocol_version_other_than_1() -> None:
    for version in (0, 2):
        answer = negotiate(request(protocol_version=version), AcceptancePolicy())
        expected = AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED
        assert answer == Rejected(RejectResult.PERMANENT, RejectSource.ACSE_PROVIDER, expected)
    assert isinstance(negotiate(request(protocol_version=3), AcceptancePolicy()), Accepted)


@pytest.mark.parametrize("name", ["", "1.2.840.10008.3.1.1.2"])
def test_other_application_context(name: str) -> None:
    answer = negotiate(request(application_context_name=name), AcceptancePolicy())
    expected = UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
    assert answer == Rejected(RejectResult.PERMANENT, RejectSource.SERVICE_USER, expected)


def test_roles_are_answered_for_accepted_contexts() -> None:
    roles = (
        RoleSelection(CT, scu=True, scp=True),
        RoleSelection(MR, scu=False, scp=True),
        RoleSelection(PATIENT_ROOT_FIND, scu=True, scp=False),
    )
    contexts = [(1, CT, [IMPLICIT]), (3, MR, [IMPLICIT]), (5, PATIENT_ROOT_FIND, [IMPLICIT])]
    answer = negotiate(request(*contexts, role_selections=roles), AcceptancePolicy())
    assert isinstance(answer, Accepted)
    assert [context.result for context in answer.contexts] == [0, 1, 3]
    assert answer.role_selections == (RoleSelection(CT, scu=True, scp=False),)


UIDS = st.sampled_from((CT, MR, VERIFICATION, PATIENT_ROOT_FIND, "1.2.840.10008.5.1.4.1.1.7"))
SYNTAXES = st.lists(st.sampled_from((IMPLICIT, EXPLICIT, JPEG, "1.2.3.4")), min_size=1, max_size=3, unique=True)
ROLES = st.dictionaries(UIDS, st.tuples(st.booleans(), st.booleans()).filter(any))


@given(st.lists(st.tuples(UIDS, SYNTAXES), min_size=1, max_size=8), ROLES)
def test_results_are_those_of_pynetdicom(
    proposal: list[tuple[str, list[str]]], roles: dict[str, tuple[bool, bool]]
) -> None:
    contexts = [(2 * n + 1, uid, syntaxes) for n, (uid, syntaxes) in enumerate(proposal)]
    supported = []
    for uid in (CT, MR, VERIFICATION, "1.2.840.10008.5.1.4.1.1.7"):
        context = build_context(1, uid, [IMPLICIT, EXPLICIT, JPEG])
        context.scu_role, context.scp_role = True, False
        supported.append(context)
    expected, expected_roles = negotiate_as_acceptor(
        [build_context(*context) for context in contexts],
        supported,
        {pydicom.uid.UID(uid): role for uid, role in roles.items()},
    )
    selections = tuple(RoleSelection(uid, scu, scp) for uid, (scu, scp) in roles.items())
    answer = negotiate(request(*contexts, role_selections=selections), AcceptancePolicy())
    assert isinstance(answer, Accepted)
    for (_, _, syntaxes), ours, theirs in zip(contexts, answer.contexts, expected, strict=True):
        assert (ours.context_id, ours.abstract_syntax_uid) == (theirs.context_id, theirs.abstract_syntax)
        if roles.get(ours.abstract_syntax_uid) != (False, True):
            # What a requestor that wants to be SCP only gets is left open by PS3.7, D.3.3.4.
            assert ours.result == theirs.result
        if ours.is_accepted:
            first = next(uid for uid in syntaxes if uid != "1.2.3.4")
            expected_uid = EXPLICIT if first == IMPLICIT and EXPLICIT in syntaxes else first
            assert ours.transfer_syntax_uid == expected_uid
    ours_roles = {role.sop_class_uid: (role.scu, role.scp) for role in answer.role_selections}
    assert ours_roles == {
        role.sop_class_uid: (role.scu_role, role.scp_role) for role in expected_roles if role.scu_role
    }
