"""JSON that somebody else may have written, by mistake or on purpose."""

import msgspec

NOT_READABLE = (msgspec.DecodeError, ValueError, RecursionError)
"""What decoding it may raise: ValueError for bytes that are no UTF-8, RecursionError for brackets in brackets."""
