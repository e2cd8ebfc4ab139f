"""Where a bug of ours showed itself, in words that may stand in the log."""

import os


def place_of(error: BaseException) -> str:
    """Return file and line where an error was raised, without the values that its message may hold."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
