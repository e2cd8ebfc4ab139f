"""DICOM files and senders for the tests."""

import io
import os
import uuid
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pynetdicom import AE, _config, build_context

_config.STORE_SEND_CHUNKED_DATASET = True  # the bytes of a file are sent as they are

CT = "1.2.840.10008.5.1.4.1.1.2"

SMALL = {}
"""Attributes of an instance that is written when it has come whole."""
LARGE = {"Rows": 1024, "Columns": 1024, "PixelData": bytes(2 * 1024 * 1024)}
"""Attributes of one that does not fit the receive buffer, so that it is written piece by piece."""


def make_instance(path, number=1, series_uid="1.2.3", **attributes):
    """Write a small CT instance to `path` and return it."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    del dataset.DataSetTrailingPadding  # some senders leave it out
    dataset.SeriesInstanceUID = series_uid
    dataset.SOPInstanceUID = f"{series_uid}.{number}"
    dataset.InstanceNumber = number
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path)
    return Path(path)


def make_series(directory, count, series_uid=None, **attributes):
    """Write a series of `count` instances and return their paths."""
    series_uid = series_uid or f"1.2.{uuid.uuid4().int % 10**20}"
    Path(directory).mkdir(exist_ok=True, parents=True)
    return [
        make_instance(Path(directory) / f"{number}.dcm", number, series_uid, **attributes)
        for number in range(1, count + 1)
    ]


def contexts_of(paths):
    """Return the presentation contexts that the files need."""
    pairs = {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in map(file_meta_of, paths)}
    return [build_context(sop_class, transfer_syntax) for sop_class, transfer_syntax in sorted(pairs)]


def file_meta_of(path):
    return pydicom.filereader.read_file_meta_info(path)


def open_association(port, contexts, calling="TEST", called="ChRIS", tls_args=None):
    entity = AE(calling)
    entity.requested_contexts = contexts
    association = entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls_args)
    assert association.is_established
    leave_responses_to_the_caller(association)
    return association


def leave_responses_to_the_caller(association):
    """Keep pynetdicom's own thread from taking a response that comes before the thread is paused.

    It looks for requests of the peer, of which a C-STORE SCP sends none, and then the caller waits in vain.
    """
    get_message = association.dimse.get_msg
    association.dimse.get_msg = lambda block=False: get_message(block) if block else (None, None)


def send(port, paths, calling="TEST"):
    """Send files over one association, as the bytes that they are. Return the statuses."""
    association = open_association(port, contexts_of(paths), calling)
    statuses = [association.send_c_store(os.fspath(path)) for path in paths]
    association.release()
    return statuses


def dataset_bytes(path):
    """Return the dataset of a Part 10 file: everything behind its file meta."""
    with open(path, "rb") as file:
        data = file.read()
    reader = io.BytesIO(data)
    reader.seek(132)
    pydicom.filereader._read_file_meta_info(reader)
    return data[reader.tell() :]
