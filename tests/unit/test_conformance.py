"""The conformance statement and the page on security say what the code does.

`python -m tests.unit.test_conformance` writes the lists anew.
"""

import re
from pathlib import Path

import pytest
from pydicom.uid import UID

import oxidicom
from oxidicom.association.commands import CommandField
from oxidicom.association.pdu import AbortReason, AcseRejectReason, PresentationRejectReason, UserRejectReason
from oxidicom.association.syntaxes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from oxidicom.settings import Settings
from oxidicom.statuses import Status
from oxidicom.tls import TLS_1_2_CIPHER_SUITES
from tests.settings_page import shown_default

DOCS = Path(__file__).parents[2] / "docs"
CONFORMANCE, SECURITY = DOCS / "conformance.md", DOCS / "security.md"
LISTS = {"storage classes": STORAGE_CLASSES, "transfer syntaxes": TRANSFER_SYNTAXES}


def table(uids):
    lines = ["| name | UID |", "|---|---|"]
    lines += [
        f"| {UID(uid).name}{' (retired)' if UID(uid).is_retired else ''} | {uid} |" for uid in sorted(uids, key=_key)
    ]
    return "\n".join(lines)


def _key(uid):
    return [int(part) for part in uid.split(".")]


def with_lists(text):
    """Return the statement with its lists written anew."""
    for name, uids in LISTS.items():
        pattern = f"(<!-- {name}: begin -->\n).*(<!-- {name}: end -->)"
        text = re.sub(pattern, _around(table(uids)), text, flags=re.DOTALL)
    return text


def _around(content):
    return lambda match: f"{match[1]}{content}\n{match[2]}"


def test_the_lists_are_those_of_the_code():
    text = CONFORMANCE.read_text()
    assert text == with_lists(text), "write them anew: python -m tests.unit.test_conformance"
    assert text.count("\n| ") > len(STORAGE_CLASSES) + len(TRANSFER_SYNTAXES)


def test_every_status_is_listed_and_no_other():
    listed = re.findall(r"^\| ([0-9A-F]{4}) \|", CONFORMANCE.read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(f"{status:04X}" for status in Status)


def test_implementation_and_cipher_suites_are_those_of_the_code():
    text = CONFORMANCE.read_text()
    assert f"| implementation class UID | {oxidicom.IMPLEMENTATION_CLASS_UID} |" in text
    assert f"| implementation version name | {oxidicom.IMPLEMENTATION_VERSION_NAME} |" in text
    assert f"| TLS 1.2 cipher suites | {', '.join(TLS_1_2_CIPHER_SUITES)} |" in text
    assert {CommandField.C_STORE_RQ, CommandField.C_ECHO_RQ, CommandField.C_CANCEL_RQ} == set(CommandField)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED, "protocol version not supported"),
        (UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED, "application context name not supported"),
        (UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED, "called AE title not recognized"),
        (UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED, "calling AE title not recognized"),
        (PresentationRejectReason.LOCAL_LIMIT_EXCEEDED, "local limit exceeded"),
        (AbortReason.UNRECOGNIZED_PDU, "unrecognized PDU"),
        (AbortReason.UNEXPECTED_PDU, "unexpected PDU"),
        (AbortReason.UNEXPECTED_PDU_PARAMETER, "unexpected PDU parameter"),
        (AbortReason.INVALID_PDU_PARAMETER, "invalid PDU parameter value"),
    ],
)
def test_reasons_have_their_numbers(reason, words):
    assert f"| {reason.value} {words} |" in CONFORMANCE.read_text()


@pytest.mark.parametrize("page", [CONFORMANCE, SECURITY], ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page):
    known = {str(field.alias) for field in Settings.model_fields.values()}
    named = set(re.findall(r"\bCHRIS_[A-Z_]+\b", page.read_text()))
    assert named <= known, named - known


def test_the_table_of_limits_has_every_limit_with_its_default():
    fields = {str(field.alias): field for field in Settings.model_fields.values()}
    rows = dict(re.findall(r"\| `((?:CHRIS|PORT)[A-Z_]*)` \| ([^|]+?) \|", SECURITY.read_text()))
    assert {name: shown_default(name, fields[name]) for name in rows} == rows
    limits = re.compile("CHRIS_(SCP|TLS|LISTENER)_.*(SECONDS|BYTES|LENGTH|MAX|PER_AE|THREADS)")
    assert {name for name in fields if limits.match(name)} <= set(rows)


if __name__ == "__main__":
    CONFORMANCE.write_text(with_lists(CONFORMANCE.read_text()))
