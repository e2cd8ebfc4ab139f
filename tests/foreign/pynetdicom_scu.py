"""pynetdicom's SCU as a program: `python -m tests.foreign.pynetdicom_scu HOST PORT AE-TITLE MODE FILES…`.

MODE: plain, identity, async, tls:CA:CERTIFICATE:KEY. Each file is sent as the bytes that it is.
"""

import os
import ssl
import sys

import pydicom
from pynetdicom import AE, _config, build_context
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation, UserIdentityNegotiation

from tests.dicom import leave_responses_to_the_caller

_config.STORE_SEND_CHUNKED_DATASET = True


def _identity() -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.secondary_field = 2, b"user", b"secret"
    item.positive_response_requested = True
    return item


def _window() -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = item.maximum_number_operations_performed = 8
    return item


def _tls(mode: str) -> tuple[ssl.SSLContext, str] | None:
    kind, *paths = mode.split(":")
    if kind != "tls":
        return None
    context = ssl.create_default_context(cafile=paths[0])
    context.load_cert_chain(paths[1], paths[2])
    return context, "localhost"


def main(host: str, port: str, title: str, mode: str, *files: str) -> int:
    """Send the files over one association; return 1 when there is none."""
    entity = AE(title)
    metas = [pydicom.filereader.read_file_meta_info(file) for file in files]
    pairs = sorted({(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas})
    entity.requested_contexts = [build_context(sop_class, syntax) for sop_class, syntax in pairs]
    items: dict[str, list[UserIdentityNegotiation | AsynchronousOperationsWindowNegotiation]]
    items = {"identity": [_identity()], "async": [_window()]}
    association = entity.associate(
        host,
        int(port),
        ae_title="ChRIS",
        ext_neg=list(items.get(mode, [])),
        tls_args=_tls(mode),
    )
    if not association.is_established:
        print("no association")
        return 1
    leave_responses_to_the_caller(association)
    for file in files:
        try:
            status = association.send_c_store(os.fspath(file)).get("Status")
        except ValueError as error:
            status = error
        if status != 0:
            print(f"{file}: {status}")
    association.release()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
