"""Says how it finds itself: `python -m tests.commands.mirror …`; ends with 7, or by an exception if it is asked to."""

import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path

import psutil

if __name__ == "__main__":
    myself = psutil.Process()
    handlers = (signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM)
    found = {
        "command": [one for one in myself.cmdline() if one],
        "arguments": sys.argv,
        "original": sys.orig_argv,
        "parent": myself.ppid(),
        "has own session": os.getsid(0) == os.getpid(),
        "folder": str(Path.cwd()),
        "first place of imports": sys.path[0],
        "environment": dict(os.environ),
        "descriptors": sorted(os.listdir("/proc/self/fd"))[:-1],  # noqa: PTH208 - names; the last is that of listing
        "threads": threading.active_count(),
        "signals": [str(signal.getsignal(number)) for number in handlers],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "largest file": resource.getrlimit(resource.RLIMIT_FSIZE),
        "written at once": [stream.write_through for stream in (sys.stdout, sys.stderr)],  # type: ignore[union-attr] # they are files
        "by line": [stream.line_buffering for stream in (sys.stdout, sys.stderr)],
        "encodings": [(one.encoding, one.errors) for one in (sys.stdin, sys.stdout, sys.stderr)],
        "flags": str(sys.flags),
        "typed": sys.stdin.read(),
    }
    print(json.dumps(found))
    if "stumble" in sys.argv:
        raise ZeroDivisionError
    if "interrupted" in sys.argv:
        raise KeyboardInterrupt
    sys.exit(7)
