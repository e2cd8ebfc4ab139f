"""The seccomp filters that systemd makes of a unit's directives, loaded by libseccomp into the process that asks.

Each is what systemd.exec(5) says of its directive. A system call that is refused fails with the error that systemd
gives it and kills nobody, so what the gateway makes of the refusal is tested too.
"""

import errno
import mmap
import socket
import stat

from pyseccomp import ALLOW, EQ, ERRNO, GT, MASKED_EQ, Arch, Arg, SyscallFilter, resolve_syscall

from tests.sandbox.unit import allowed_calls

_MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "open": 2, "openat": 3, "creat": 1}
"""Which argument is the mode of what a call makes or changes."""
_NEW_NAMESPACES = (0x02000000, 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEWCGROUP, NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: Python names them from 3.12 on."""
_SHM_EXEC = 0o100000
_LAST_FAMILY = 45


def load_filters(directives: dict[str, list[str]]) -> None:
    """Put this process, and all that it becomes and starts, under the filters of a unit.

    Raise KeyError if the unit lacks one of them, ValueError if one has a value that is not known here, and OSError if
    the kernel refuses.
    """
    refused = SyscallFilter(ALLOW)
    _refuse_address_families(refused, _one(directives, "RestrictAddressFamilies").split())
    for name, refuse in _REFUSALS.items():
        if _one(directives, name) != "yes":
            raise ValueError(f"{name}={_one(directives, name)}")
        refuse(refused)
    refused.load()
    number = getattr(errno, _one(directives, "SystemCallErrorNumber"))
    calls = SyscallFilter(ERRNO(number))  # a call of another architecture kills: SystemCallArchitectures=native
    for call in sorted(allowed_calls(directives["SystemCallFilter"])):
        if resolve_syscall(Arch.NATIVE, call) >= 0:  # a group has the calls of all architectures
            calls.add_rule(ALLOW, call)
    calls.load()  # the last one: under it no other can be loaded


def _one(directives: dict[str, list[str]], name: str) -> str:
    (value,) = directives[name]
    return value


def _refuse_address_families(refused: SyscallFilter, names: list[str]) -> None:
    refused.add_rule(ERRNO(errno.EAFNOSUPPORT), "socket", Arg(0, GT, _LAST_FAMILY))
    for family in set(range(_LAST_FAMILY + 1)) - {int(getattr(socket, name)) for name in names}:
        refused.add_rule(ERRNO(errno.EAFNOSUPPORT), "socket", Arg(0, EQ, family))


def _refuse_memory_that_is_written_and_executed(refused: SyscallFilter) -> None:
    _refuse_bits(refused, "mmap", 2, mmap.PROT_WRITE | mmap.PROT_EXEC)
    _refuse_bits(refused, "mprotect", 2, mmap.PROT_EXEC)
    _refuse_bits(refused, "pkey_mprotect", 2, mmap.PROT_EXEC)
    _refuse_bits(refused, "shmat", 2, _SHM_EXEC)


def _refuse_the_bits_of_set_user_and_group_id(refused: SyscallFilter) -> None:
    for call, at in _MODES.items():
        for bit in (stat.S_ISUID, stat.S_ISGID):
            _refuse_bits(refused, call, at, bit)


def _refuse_namespaces(refused: SyscallFilter) -> None:
    refused.add_rule(ERRNO(errno.ENOSYS), "clone3")  # a filter does not see its flags: callers fall back to clone
    refused.add_rule(ERRNO(errno.EPERM), "unshare")
    refused.add_rule(ERRNO(errno.EPERM), "setns")
    for flag in _NEW_NAMESPACES:
        _refuse_bits(refused, "clone", 0, flag)


def _refuse_bits(refused: SyscallFilter, call: str, at: int, bits: int) -> None:
    refused.add_rule(ERRNO(errno.EPERM), call, Arg(at, MASKED_EQ, bits, bits))


_REFUSALS = {
    "MemoryDenyWriteExecute": _refuse_memory_that_is_written_and_executed,
    "RestrictSUIDSGID": _refuse_the_bits_of_set_user_and_group_id,
    "RestrictNamespaces": _refuse_namespaces,
}
