"""Sets a policy: checked first, shown, asked for, guarded by its etag, and proven by reading it back."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from workers.commands.output import write_json
from workers.commands.policy_input import read_file, readable, target_of
from workers.failures import Mismatch

if TYPE_CHECKING:
    from workers.app.policies import PolicyPorts
    from workers.policy.facts import Facts
    from workers.policy.lint import PolicyFile
    from workers.policy.model import Policy

CALL_SECONDS = 30.0


async def apply_now(
    file: str,
    project: str | None,
    data: Path | None,
    *,
    dry_run: bool,
    force: bool,
    yes: bool,
    as_json: bool,
    open_ports: "Callable[..., AbstractAsyncContextManager[PolicyPorts]] | None" = None,
) -> bool:
    """Do all of it, or as much as is asked for. Returns whether the policy is in force, or could be if that was all.

    Raises Mismatch when the one in force was changed since the file was exported, or meanwhile.
    """
    from workers.app.policies import gather, policy_ports
    from workers.commands.policy_pages import show_changes
    from workers.policy.changes import changes

    read = read_file(file)
    async with (open_ports or policy_ports)(data) as ports:
        target = target_of(read.policy, project, ports)
        live = await ports.policies.get(f"projects/{target}")
        facts = await gather(read.policy, ports, live=live, project=target)
        if not _passes(read, facts, force=force, as_json=as_json):
            return False
        wanted = readable(read).model_copy(update={"name": live.name, "etag": live.etag, "update_time": None})
        _require_fresh(read, live)
        found = changes(live, wanted)
        show_changes(found, as_json=as_json, same=f"{live.name} is that already: there is nothing to change.")
        if dry_run or not found:
            return True
        if not yes and not typer.confirm(f"Set {live.name} with {len(found)} change(s)?"):
            typer.echo("Nothing was set.", err=True)
            return False
        await _set(wanted, target, ports, as_json=as_json)
        return True


def _passes(read: "PolicyFile", facts: "Facts", *, force: bool, as_json: bool) -> bool:
    """Show the findings, and say whether to go on in spite of them."""
    from workers.commands.policy_pages import show_findings

    found = [finding for finding in read.lint(facts) if finding.severity != "note"]
    if found:
        show_findings(read.where, found, as_json=as_json)
    errors = [finding for finding in found if finding.severity == "error"]
    if any(finding.is_refused for finding in errors):
        spite = ", and --force cannot help: Binary Authorization itself refuses this policy" if force else ""
        typer.echo(f"sealane: nothing was set; repair the errors first{spite}", err=True)
        return False
    if errors and not force:
        typer.echo("sealane: nothing was set; repair the errors first, or say --force to set it all the same", err=True)
        return False
    return True


def _require_fresh(read: "PolicyFile", live: "Policy") -> None:
    """Raise Mismatch when the file was exported from another policy than the one in force."""
    if read.policy.etag and read.policy.etag != live.etag:
        raise Mismatch(
            f"{live.name} was changed since {read.where} was exported (its etag is {live.etag}, the file's"
            f" {read.policy.etag}): export it again and make the change there, or remove the line `etag:`"
        )


async def _set(wanted: "Policy", target: str, ports: "PolicyPorts", *, as_json: bool) -> None:
    from workers.policy.changes import changes

    await ports.policies.set(wanted, timeout=CALL_SECONDS)
    back = await ports.policies.get(f"projects/{target}")
    if changes(wanted, back):
        raise Mismatch(
            f"{back.name} was set, but reads back otherwise: somebody changed it at once, or it was not taken as"
            " written; look with sealane policy diff"
        )
    if as_json:
        write_json({"policy": back.name, "etag": back.etag, "set": True})
    else:
        typer.echo(f"Set {back.name}, and read it back: it is in force (etag {back.etag}).")
