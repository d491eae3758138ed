"""joblet-quota: bounds a work directory that is filled before its job is launched.

    joblet-quota DIRECTORY PROJECT KIB INODES

Run by systemd, with full rights, before the program that fills it and has none. A launch does the
same as a step of its plan.
"""

from __future__ import annotations

import os
import sys

from joblet.init import syscalls


def main() -> int:
    """Entry point of the launcher."""
    directory, *numbers = sys.argv[1:]
    project, kib, inodes = map(int, numbers)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    syscalls.set_project(fd, project)
    syscalls.set_project_quota(fd, project, kib, inodes)
    return 0
