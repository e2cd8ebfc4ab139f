"""Who can write the storage, and who can read and delete what will be stored: CUBE runs as another user."""

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator

from oxidicom.operations.finding import Finding, Verdict
from oxidicom.paths.final_path import PACS_ROOT

_MADE_BY_CUBE = ("home", "SHARED", "PUBLIC", "PIPELINES")
"""Directories that CUBE makes when it migrates: their owner is the user that it runs as."""
_GROUP, _OTHERS = 3, 0
"""Where the bits of a class of users stand in a mode."""


def unwritable(directory: str, error: OSError) -> str:
    """Say why a directory cannot be written and, where a right is missing, whose it is and what to do."""
    reason = f"{directory} cannot be written: {error.strerror}"
    if not isinstance(error, PermissionError):
        return reason
    try:
        there = os.stat(directory)
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
    if "everyone else" in readers:
        return Finding("readers", Verdict.GOOD, detail)
    closed = _closed_to(root, _OTHERS)
    keeps_out = f"; {closed} keeps everyone else out (chmod o+x would let them pass)" if closed else ""
    return Finding("readers", Verdict.NOTE, f"{detail}: CUBE must be one of them{keeps_out}")


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
    """Tell whether a class of users reaches files: in directories that will be made, and past those that are there."""
    return not _closed_to(root, shift) and (0o777 & ~umask) >> shift & 0o5 == 0o5


def _closed_to(root: str, shift: int) -> str:
    """Return the first directory on the way to the files that a class of users cannot pass; '' when there is none."""
    group = _group_of(root)
    for path in _ways(root):
        try:
            there = os.stat(path)
        except FileNotFoundError:  # CUBE has deleted it meanwhile
            continue
        of_its_class = _OTHERS if shift == _GROUP and there.st_gid != group else shift
        if not there.st_mode >> of_its_class & 0o1:
            return path
    return ""


def _ways(root: str) -> Iterator[str]:
    """Yield the directories that are there, down to those of the AE titles: each keeps its first mode."""
    yield root
    pacs = os.path.join(root, PACS_ROOT)
    with contextlib.suppress(FileNotFoundError, PermissionError):  # not there yet, or said of the one above
        yield from filter(os.path.isdir, (os.path.dirname(pacs), pacs))
        with os.scandir(pacs) as scan:
            yield from (entry.path for entry in scan if entry.is_dir(follow_symlinks=False))


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
