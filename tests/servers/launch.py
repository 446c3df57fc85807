"""Becomes the server: `python -I -S launch.py <uid or -> <pid of the parent or -> <command...>`.

A program of its own since it runs between fork and exec, where a process with threads may do next to nothing.
With a parent named, the kernel kills the server when the parent's thread that started it
ends, however it ends.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(uid: str, parent: str, command: list[str]) -> None:
    """Give up root, tie the life to the parent's, and become `command`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if uid != "-":
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
    if parent != "-" and sys.platform == "linux":
        # After the change of uid, which clears it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent is gone already")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
