"""Crash states: what a power failure at any moment may leave of the storage, and whether the gateway keeps its word.

    workload → recording   a real gateway under load; strace writes down what it does to its tree
    calls → history        the lines of strace, and what they did: an order of changes, and of what a sync made durable
    crash → replay         one moment, and what of the changes before it a filesystem may have kept; made a directory
    restart → contracts    a gateway starts there, and what was promised before that moment is looked for
    campaign               many of them, in several processes

docs/failure-modes.md tells what is assumed of a filesystem ("Power failure"), and what was found.
"""
