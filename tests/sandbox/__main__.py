"""`python -m tests.sandbox PROGRAM …` becomes a program that may do what the systemd unit allows, and no more.

No service manager is needed: this process loads the filters and executes the program, which keeps its number.
"""

import os
import sys

from tests.sandbox.seccomp import load_filters
from tests.sandbox.unit import UNIT, directives


def main() -> None:
    program = sys.argv[1:]
    if not program:
        sys.exit("usage: python -m tests.sandbox PROGRAM [ARGUMENT …]")
    load_filters(directives(UNIT.read_text("utf-8")))
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
