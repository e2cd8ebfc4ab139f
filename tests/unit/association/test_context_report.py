"""What a peer proposed in vain, in words."""

import pydicom.uid
import pytest

from oxidicom.association.associate import AnsweredContext, ContextResult, ProposedContext
from oxidicom.association.context_report import report_contexts
from oxidicom.association.negotiation import AcceptancePolicy, _answer_context

CT = str(pydicom.uid.CTImageStorage)
MPPS = "1.2.840.10008.3.1.2.3.3"
JPIP = "1.2.840.10008.1.2.4.94"
EXPLICIT = str(pydicom.uid.ExplicitVRLittleEndian)
JPEG = str(pydicom.uid.JPEGBaseline8Bit)


def report(*proposed, **policy):
    contexts = [ProposedContext(2 * at + 1, uid, tuple(syntaxes)) for at, (uid, *syntaxes) in enumerate(proposed)]
    return report_contexts(contexts, [_answer_context(one, None, AcceptancePolicy(**policy)) for one in contexts])


def test_nothing_is_said_when_each_class_is_accepted_in_some_context():
    assert report((CT, EXPLICIT)) is None
    assert report((CT, JPIP), (CT, EXPLICIT)) is None


def test_a_storage_class_without_a_transfer_syntax_of_ours_is_trouble():
    said = report((CT, JPEG, JPIP), ("1.2.3", EXPLICIT), uncompressed_only=True)
    assert said.is_trouble
    assert (said.proposed, said.accepted) == (2, 1)
    assert f"CT Image Storage {CT}: transfer syntaxes not supported (JPEG Baseline" in said.refused
    assert JPIP in said.refused


def test_another_service_is_no_trouble_unless_nothing_is_accepted():
    said = report((MPPS, EXPLICIT), (CT, EXPLICIT))
    assert not said.is_trouble
    assert said.refused == f"Modality Performed Procedure Step SOP Class {MPPS}: abstract syntax not supported"
    assert report((MPPS, EXPLICIT)).is_trouble
    assert report().refused == "nothing was proposed"


def test_a_role_that_is_not_ours_is_said():
    proposed = [ProposedContext(1, CT, (EXPLICIT,))]
    answered = [AnsweredContext(1, ContextResult.USER_REJECTION, CT, EXPLICIT)]
    assert "only the role of SCP" in report_contexts(proposed, answered).refused


@pytest.mark.parametrize("letter", ["9", "x", "\n", "\xff"])
def test_it_is_short_whatever_is_proposed(letter):
    contexts = [
        (f"{at:03}" + letter * 60_000, *[f"{at}.{one}" + letter * 9_000 for one in range(100)]) for at in range(128)
    ]
    contexts += [(CT, *["9" * 64] * 50)] * 128
    said = report(*contexts)
    assert len(said.refused) < 2_000
    assert said.refused.isprintable()
    assert said.refused.endswith("more")
