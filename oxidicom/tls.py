"""TLS on the port: the BCP 195 profile of RFC 8996 and 9325 (PS3.15, annex B.12), and the certificate behind it.

TLS 1.2 and 1.3 only, with forward secrecy and authenticated encryption only. Nothing is negotiated in the clear
first: a port speaks TLS or it does not.
"""

import datetime
import os
import ssl
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from oxidicom.errors import CertificateError
from oxidicom.setting_faults import Fault
from oxidicom.settings import Settings

TLS_1_2_CIPHER_SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
"""RFC 9325, 4.2.1; those of TLS 1.3 are all of that kind, and OpenSSL has them by default."""

_ENCRYPTED: Final = "the key is encrypted; a service has nobody to ask, so give it one that is not"


def build_context(settings: Settings) -> ssl.SSLContext:
    """Return the server's side of TLS as the settings say. Raise CertificateError that names variable, file and cause.

    The files are read now; to read them again, build another one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(TLS_1_2_CIPHER_SUITES))
    # RFC 9325, 3.4 and 3.5: no compression, no renegotiation. No tickets either: associations are few and long, and
    # a ticket that a peer never reads would turn its orderly close into a reset.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    _load_certificate(context, settings)
    if settings.tls_client_ca:
        _load_client_ca(context, settings.tls_client_ca)
    return context


def build_client_context(settings: Settings) -> ssl.SSLContext:
    """Return the side of a client that takes the gateway's own certificate, and no other, and shows it as its own.

    Raise CertificateError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # the certificate itself is known, whatever the host is called
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    _load_certificate(context, settings)
    try:
        context.load_verify_locations(cafile=settings.tls_certificate)
    except OSError as error:
        cause = _cause_of(error)
        raise CertificateError(f"CHRIS_TLS_CERTIFICATE={settings.tls_certificate} cannot be read: {cause}") from error
    return context


def certificate_faults(settings: Settings) -> list[Fault]:
    """Return what is wrong with certificate, key and client CA, each looked at for itself, and whether the key fits."""
    if not settings.tls_certificate:
        return []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    faults = _faults("CHRIS_TLS_CERTIFICATE", lambda: expiry_of(settings.tls_certificate))
    if settings.tls_key:
        faults += _faults("CHRIS_TLS_KEY", lambda: _read_key(settings.tls_key))
    if not faults:
        name = "CHRIS_TLS_KEY" if settings.tls_key else "CHRIS_TLS_CERTIFICATE"
        faults = _faults(name, lambda: _load_certificate(context, settings))
    if settings.tls_client_ca:
        faults += _faults("CHRIS_TLS_CLIENT_CA", lambda: _load_client_ca(context, settings.tls_client_ca))
    return faults


def expiry_of(path: str) -> datetime.datetime:
    """Return when the (first) certificate of a PEM file expires. Raise CertificateError."""
    try:
        with open(path, "rb") as file:
            return x509.load_pem_x509_certificates(file.read())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        raise CertificateError(f"CHRIS_TLS_CERTIFICATE={path} cannot be read: {_cause_of(error)}") from error


def _faults(variable: str, look_at: Callable[[], object]) -> list[Fault]:
    try:
        look_at()
    except CertificateError as error:
        return [Fault(variable, str(error))]
    return []


def _read_key(path: str) -> None:
    """Look at a key for itself: OpenSSL looks at it only together with a certificate. Raise CertificateError."""
    try:
        with open(path, "rb") as file:
            load_pem_private_key(file.read(), None)
    except TypeError as error:  # so cryptography says it
        raise CertificateError(f"CHRIS_TLS_KEY cannot be used: {path}: {_ENCRYPTED}") from error
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        cause = _cause_of(error) if isinstance(error, OSError) else "it has no key in PEM"
        raise CertificateError(f"CHRIS_TLS_KEY cannot be used: {path}: {cause}") from error


def _load_certificate(context: ssl.SSLContext, settings: Settings) -> None:
    certificate, key = settings.tls_certificate, settings.tls_key or settings.tls_certificate
    expiry_of(certificate)  # OpenSSL does not say which of the two files it could not read
    try:
        with open(key, "rb"):
            pass
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (OSError, ValueError) as error:
        name = "CHRIS_TLS_KEY" if settings.tls_key else "CHRIS_TLS_CERTIFICATE, without CHRIS_TLS_KEY,"
        raise CertificateError(f"{name} cannot be used: {key}: {_cause_of(error)}") from error


def _load_client_ca(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:
        raise CertificateError(f"CHRIS_TLS_CLIENT_CA={path} cannot be used: {_cause_of(error)}") from error
    context.verify_mode = ssl.CERT_REQUIRED


def _refuse_password() -> str:
    """Else OpenSSL would ask for it at the terminal."""
    raise ValueError(_ENCRYPTED)


def _cause_of(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not PEM").lower().replace("_", " ")
        return {"key values mismatch": "the key is not that of the certificate"}.get(reason, reason)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error)
