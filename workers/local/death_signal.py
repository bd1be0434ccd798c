"""Lets a child process die with us, even by kill -9: PR_SET_PDEATHSIG, see prctl(2). Linux only."""

import os
import sys
from collections.abc import Sequence

_LAUNCHER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Asks the kernel for SIGKILL when its parent dies, looks whether that happened already, and becomes the program."""


def dying_with_us(command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` (an absolute path first) so; elsewhere than on Linux, `command` itself.

    The signal comes when the thread ends that started the child: start it from one that lives as long as it should.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
