"""Why an association was rejected, in words, and which setting changes that."""

import pytest

from oxidicom.association.associate import AssociationRequest
from oxidicom.association.negotiation import NO_ROOM, Rejected, negotiate
from oxidicom.settings import Settings
from workers.listener.policy import acceptance_policy
from workers.listener.rejection import explain, explain_busy

REQUIRED = {"CHRIS_DB_CONNECTION": "host=127.0.0.1", "CHRIS_FILES_ROOT": "/"}


def settings_of(**variables):
    return Settings.from_environment({**REQUIRED, **variables})


def explained(calling="PACS", called="ChRIS", address="10.1.2.3", context="1.2.840.10008.3.1.1.1", **variables):
    request = AssociationRequest(1, called, calling, b"", b"", b"", context)
    settings = settings_of(**variables)
    answer = negotiate(request, acceptance_policy(settings), address)
    assert isinstance(answer, Rejected)
    return explain(request, settings, address, answer.reason)


@pytest.mark.parametrize(
    ("how", "reason", "remedy"),
    [
        (
            {"called": "OTHER", "CHRIS_SCP_CHECK_CALLED_AET": "yes"},
            "this gateway is called ChRIS",
            "CHRIS_SCP_CHECK_CALLED_AET",
        ),
        (
            {"CHRIS_SCP_ALLOWED_AETS": "A,B"},
            "does not have this AE title",
            "add PACS@10.1.2.3 to CHRIS_SCP_ALLOWED_AETS",
        ),
        ({"CHRIS_SCP_ALLOWED_AETS": "pacs"}, "in other upper and lower case letters", "exactly as the sender does"),
        ({"CHRIS_SCP_ALLOWED_AETS": "PACS@10.9.0.0/16"}, "for other networks only", "add PACS@10.1.2.3"),
        ({"calling": ".."}, "cannot name a directory", "letters and digits"),
        ({"context": "1.2.3"}, "application context", "does not speak DICOM"),
    ],
)
def test_reason_and_remedy(how, reason, remedy):
    said = explained(**how)
    assert reason in said.reason
    assert remedy in said.remedy


def test_a_limit_names_its_setting():
    request = AssociationRequest(1, "ChRIS", "PACS", b"", b"", b"")
    settings = settings_of(CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE="2")
    said = explain(request, settings, "::1", NO_ROOM.reason)
    assert said.reason == "it has 2 associations already"
    assert "CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE" in said.remedy
    assert "CHRIS_LISTENER_THREADS" in explain_busy(settings).remedy
