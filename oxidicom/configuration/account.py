"""The user that a command works as: that of the service, where root asks for it."""

import os
import pwd

from oxidicom.errors import OperationError


def become(name: str) -> pwd.struct_passwd:
    """Let this process be the user `name`, with that user's groups, for good. Raise OperationError."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise OperationError(f"--user {name}: there is no such user") from None
    if os.geteuid() == account.pw_uid:
        return account
    if os.geteuid() != 0:
        raise OperationError(f"--user {name}: only root can become another user; run the command with sudo")
    os.initgroups(name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    return account
