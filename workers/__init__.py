"""The processes of the gateway: one room for each role, and `channels`, which is what they share.

Open `supervisor/supervisor.py` first: it forks all the others. No DICOM bytes and no SQL here: those are in `oxidicom`.
"""
