"""The error of the benchmark."""


class BenchmarkError(Exception):
    """A measurement that cannot be trusted, or cannot be made. Nothing is reported in its place."""
