"""oxidicom: a DICOM gateway for the ChRIS backend (CUBE).

This package is the library: DICOM, datasets, paths, the spool, CUBE's SQL, settings and the command line.
It starts no process and runs no loop; the processes live in the package `workers`.
"""

__version__ = "4.1.0.dev0"
"""The only place that has it. `.dev0` until it is released: docs/develop.md."""

IMPLEMENTATION_CLASS_UID = "2.25.294063860588932466623737794709079141229"
"""Implementation Class UID (PS3.7, annex D.3.3.2) of this program, in the UUID-derived root."""

IMPLEMENTATION_VERSION_NAME = f"OXIDICOM_{__version__.partition('.dev')[0]}"[:16]
"""Implementation Version Name (PS3.7, annex D.3.3.2.3): at most 16 characters."""
