"""Fuzz one target, guided by coverage: `python -m fuzzing acceptor|scanner DIRECTORY [options of libFuzzer]`.

The directory keeps what was found interesting, and what went wrong as `crash-…`; to see that again, give its path as
an option instead of a time.
"""

import logging
import os
import sys

import atheris

with atheris.instrument_imports(
    include=["oxidicom.association", "oxidicom.dataset", "oxidicom.stencil", "oxidicom.paths.final_path"]
):
    from fuzzing import conversations, datasets

_MAX_INPUT_BYTES = 4096


def main() -> None:
    """Run the target that the command line names."""
    target, directory, *options = sys.argv[1:]
    judge, seeds = {
        "acceptor": (conversations.judge_conversation, conversations.seeds),
        "scanner": (datasets.judge_bytes, datasets.seeds),
    }[target]
    corpus = os.path.join(directory, target)
    os.makedirs(corpus, exist_ok=True)
    for number, seed in enumerate(seeds()):
        with open(os.path.join(corpus, f"seed-{number:03}"), "wb") as file:
            file.write(seed)
    logging.disable(logging.CRITICAL)  # pydicom's
    fixed = [f"-max_len={_MAX_INPUT_BYTES}", "-timeout=20", f"-artifact_prefix={directory}/{target}-"]
    atheris.Setup([sys.argv[0], *fixed, *options, corpus], judge)
    atheris.Fuzz()


main()
