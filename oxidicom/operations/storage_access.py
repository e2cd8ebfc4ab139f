"""Who can write the storage, and who can read and delete what will be stored: CUBE runs as another user."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator

from oxidicom.operations.finding import Finding, Verdict

_MADE_BY_CUBE = ("home", "SHARED", "PUBLIC", "PIPELINES")
"""Directories that CUBE makes when it migrates: their owner is the user that it runs as."""
_GROUP, _OTHERS = 3, 0
"""Where the bits of a class of users stand in a mode."""


def unwritable(root: str, error: OSError) -> str:
    """Say why the root cannot be written and, where a right is missing, whose it is and what to do."""
    reason = f"{root} cannot be written: {error.strerror}"
    if not isinstance(error, PermissionError):
        return reason
    try:
        there = os.stat(root)
    except OSError:  # it may not even be looked at
        return reason
    return (
        f"{reason}. It belongs to {user_name(there.st_uid)} and {_group_name(there.st_gid)} "
        f"({stat.filemode(there.st_mode)}), and the gateway runs as {user_name(os.geteuid())}: give it that right, "
        "or run the gateway as the user of CUBE"
    )


def readers_of(root: str, umask: int) -> Finding:
    """Say who can read and delete what will be stored."""
    readers, deleters = [user_name(os.geteuid())], [user_name(os.geteuid())]
    for shift, name in ((_GROUP, _group_name(_group_of(root))), (_OTHERS, "everyone else")):
        if _may_pass(root, umask, shift) and (0o666 & ~umask) >> shift & 0o4:
            readers.append(name)
        if _may_delete(root, umask, shift):
            deleters.append(name)
    files, directories = stat.filemode(stat.S_IFREG | 0o666 & ~umask), stat.filemode(stat.S_IFDIR | 0o777 & ~umask)
    detail = f"read by {', '.join(readers)}; deleted by {', '.join(deleters)} ({files}, {directories}, CHRIS_UMASK)"
    everyone = "everyone else" in readers
    return Finding(
        "readers",
        Verdict.GOOD if everyone else Verdict.NOTE,
        detail + ("" if everyone else ": CUBE must be one of them"),
    )


def deletion_by_cube(root: str, umask: int) -> Finding:
    """Say whether CUBE can delete what will be stored, as its users ask it to."""
    subject = "deletion"
    consequence = (
        "of a series that somebody deletes in CUBE the rows go and the files stay. Set CHRIS_UMASK=002 and give both "
        "users a common group, or run the gateway as the user of CUBE"
    )
    made = next((name for name in _MADE_BY_CUBE if os.path.isdir(os.path.join(root, name))), None)
    if made is None:
        return Finding(
            subject, Verdict.NOTE, f"it is not known which user CUBE runs as; if it may not delete files, {consequence}"
        )
    uid = os.stat(os.path.join(root, made)).st_uid
    who = f"CUBE ({user_name(uid)}, the owner of {made})"
    if uid in (0, os.geteuid()) or any(_may_delete(root, umask, shift) for shift in _classes_of(uid, root)):
        return Finding(subject, Verdict.GOOD, f"{who} can delete what will be stored")
    return Finding(subject, Verdict.NOTE, f"{who} cannot delete what will be stored: {consequence}")


def _classes_of(uid: int, root: str) -> Iterator[int]:
    """Yield the class of users that decides for a user who is not the owner."""
    try:
        user = pwd.getpwuid(uid)
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
    except KeyError:
        groups = []  # of another container: nobody here knows its groups
    yield _GROUP if _group_of(root) in groups else _OTHERS


def _may_pass(root: str, umask: int, shift: int) -> bool:
    """Tell whether a class of users reaches files: who cannot pass the root reaches nothing below it."""
    return bool(os.stat(root).st_mode >> shift & 0o1) and (0o777 & ~umask) >> shift & 0o5 == 0o5


def _may_delete(root: str, umask: int, shift: int) -> bool:
    return _may_pass(root, umask, shift) and bool((0o777 & ~umask) >> shift & 0o2)


def _group_of(root: str) -> int:
    there = os.stat(root)
    return there.st_gid if there.st_mode & stat.S_ISGID else os.getegid()


def user_name(uid: int) -> str:
    """Return how a user is called, by name where it has one here."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _group_name(gid: int) -> str:
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return f"group {gid}"
    return f"group {group.gr_name}" + (f" ({', '.join(group.gr_mem)})" if group.gr_mem else "")
