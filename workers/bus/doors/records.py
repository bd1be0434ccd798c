"""A run as a JSON object, the same for the command line and for the door."""

from workers.bus.doors.runs import Branch, Run


def run_record(run: Run) -> dict[str, object]:
    """Return a run as a JSON object."""
    return {
        "run": run.id,
        "state": run.state,
        "complete": run.complete,
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "seconds": run.seconds,
        "roots": [event.model_dump(exclude_none=True) for event in run.roots],
        "branches": [branch_record(branch) for branch in run.branches()],
    }


def branch_record(branch: Branch) -> dict[str, object]:
    """Return a branch as a JSON object, without what is unknown."""
    record: dict[str, object] = {
        "worker": branch.worker,
        "event": branch.event.model_dump(exclude_none=True),
        "state": branch.state,
        "attempt": branch.attempt,
        "at": branch.at.isoformat() if branch.at else None,
        "seconds": branch.seconds,
        "message": branch.message,
        "error": branch.error,
        "retry_at": branch.retry_at.isoformat() if branch.retry_at else None,
        "dead": branch.dead.model_dump(exclude_none=True) if branch.dead else None,
        "emitted": [event.model_dump(exclude_none=True) for event in branch.emitted],
    }
    return {name: value for name, value in record.items() if value is not None}
