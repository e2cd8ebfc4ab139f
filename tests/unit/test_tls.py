"""TLS of the port: the context, what cannot be used, and when a certificate expires."""

import datetime
import ssl

import pytest

from oxidicom.errors import CertificateError
from oxidicom.settings import Settings
from oxidicom.tls import build_context, expiry_of


def settings(certificate="", key="", client_ca=""):
    return Settings.from_environment(
        {
            "CHRIS_DB_CONNECTION": "embedded",
            "CHRIS_FILES_ROOT": "/data",
            "CHRIS_TLS_CERTIFICATE": str(certificate),
            "CHRIS_TLS_KEY": str(key),
            "CHRIS_TLS_CLIENT_CA": str(client_ca),
        }
    )


def test_only_tls_1_2_and_1_3_with_forward_secrecy_and_authenticated_encryption(authority):
    context = build_context(settings(*authority.issue("gateway")))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    names = {suite["name"] for suite in context.get_ciphers()}
    assert {name for name in names if not name.startswith("TLS_")} == {
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    }
    assert {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"} <= names
    assert context.verify_mode is ssl.CERT_NONE


def test_with_a_client_ca_every_peer_needs_a_certificate(authority):
    certificate, key = authority.issue("gateway")
    context = build_context(settings(certificate, key, authority.path))
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_certificate_and_key_may_be_one_file(authority, tmp_path):
    certificate, key = authority.issue("gateway")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert build_context(settings(both))


def test_what_cannot_be_used_is_named_with_its_cause(authority, tmp_path):
    certificate, key = authority.issue("gateway")
    _, other_key = authority.issue("other")
    _, encrypted_key = authority.issue("encrypted", password=b"secret")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_bytes(b"nonsense")
    missing = tmp_path / "missing.pem"
    cases = [
        (settings(missing, key), "CHRIS_TLS_CERTIFICATE=.*missing.pem.*No such file"),
        (settings(nonsense, key), "CHRIS_TLS_CERTIFICATE=.*nonsense.pem"),
        (settings(certificate, missing), "CHRIS_TLS_KEY .*missing.pem: No such file"),
        (settings(certificate, nonsense), "CHRIS_TLS_KEY .*nonsense.pem"),
        (settings(certificate, other_key), "CHRIS_TLS_KEY .*the key is not that of the certificate"),
        (settings(certificate, encrypted_key), "CHRIS_TLS_KEY .*the key is encrypted"),
        (settings(certificate), "without CHRIS_TLS_KEY"),
        (settings(certificate, key, missing), "CHRIS_TLS_CLIENT_CA=.*missing.pem.*No such file"),
        (settings(certificate, key, nonsense), "CHRIS_TLS_CLIENT_CA=.*nonsense.pem"),
    ]
    for case, message in cases:
        with pytest.raises(CertificateError, match=message) as raised:
            build_context(case)
        assert "secret" not in str(raised.value)


def test_the_day_on_which_it_expires_is_known(authority):
    certificate, _ = authority.issue("gateway", 29)
    left = expiry_of(str(certificate)) - datetime.datetime.now(datetime.UTC)
    assert left.days == 29
