"""The processes of the gateway: the supervisor, the roles that it forks, and what they share.

No DICOM bytes and no SQL here: those are in `oxidicom`, which this package imports.
"""
