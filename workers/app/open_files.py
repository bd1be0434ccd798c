"""How many files, and so connections, a process may have open (getrlimit(2), RLIMIT_NOFILE)."""

import logging
import resource

log = logging.getLogger(__name__)


def allow_open_files(wanted: int) -> int:
    """Raise the soft limit of this process to `wanted`, as far as the hard limit lets it; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft != resource.RLIM_INFINITY and soft < wanted:
        log.warning("this process may open %d files, and may need %d: raise the hard limit (ulimit -Hn)", soft, wanted)
    return soft
