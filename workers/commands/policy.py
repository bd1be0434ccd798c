"""`sealane policy`: Binary Authorization's policy of a project, right before it is applied."""

import shlex
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.commands.output import DATA, JSON, examples, is_person
from workers.commands.policy_input import project_of, read_file, readable, target_of, workload_of
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.app.policies import PolicyPorts
    from workers.policy.evaluation import Decision, Workload
    from workers.policy.findings import Finding
    from workers.policy.model import Policy

policy = typer.Typer(
    help="Check, compare, set and explain a policy on images.",
    epilog=examples(
        "sealane policy lint policy.yaml",
        "sealane policy apply policy.yaml --dry-run",
        "sealane policy explain gcr.io/acme/shop@sha256:…",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
FILE = Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON, as gcloud exports it; - is stdin.")]
PROJECT = Annotated[
    str | None,
    typer.Option("--project", metavar="P", help="Whose policy; default: the settings' or the file's."),
]
OFFLINE = Annotated[bool, typer.Option("--offline", help="Ask nobody: look only at what the file itself says.")]
OpenPorts = Callable[..., AbstractAsyncContextManager["PolicyPorts"]]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(policy, name="policy")


@policy.command(
    epilog=examples(
        "sealane policy lint policy.yaml",
        "sealane policy lint policy.yaml --offline --strict --json",
        "sealane policy lint --project acme-prod",
        "gcloud container binauthz policy export | sealane policy lint -",
    )
)
def lint(
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="YAML or JSON; - is stdin; none: live.")] = None,
    project: PROJECT = None,
    data: DATA = None,
    *,
    offline: OFFLINE = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
    as_json: JSON = False,
) -> None:
    """Find what is wrong with a policy, each with its line and its fix.

    The attestors that it names, their keys and notes are looked at as well. Exit 0: nothing is wrong. 1: there are
    errors. 2: the file cannot be read.
    """
    import asyncio

    from workers.commands.policy_pages import show_findings

    where, found = asyncio.run(lint_now(file, project, data, offline=offline))
    show_findings(where, found, as_json=as_json)
    failing = {"error", "warning"} if strict else {"error"}
    if any(finding.severity in failing for finding in found):
        raise typer.Exit(1)


@policy.command(
    epilog=examples(
        "sealane policy diff policy.yaml",
        "sealane policy diff policy.yaml --project acme-prod --json",
        "sealane policy diff before.yaml after.yaml",
    )
)
def diff(
    file: FILE,
    other: Annotated[str | None, typer.Argument(metavar="[FILE2]", help="Compare with it instead of live.")] = None,
    project: PROJECT = None,
    data: DATA = None,
    *,
    as_json: JSON = False,
) -> None:
    """Show what setting FILE would change, or FILE against FILE2.

    What is the same to Binary Authorization is no difference: order, spelling, etag and time. Exit 0: nothing differs.
    1: something does. 2: a file cannot be read.
    """
    import asyncio

    from workers.commands.policy_pages import show_changes
    from workers.policy.changes import changes

    if file == other == "-":
        raise Invalid("stdin can be read once: name a file for one of the two")
    before, after = (
        (readable(read_file(file)), readable(read_file(other)))
        if other is not None
        else asyncio.run(_live_and_file(file, project, data))
    )
    found = changes(before, after)
    show_changes(found, as_json=as_json, same="Nothing differs.")
    if found:
        raise typer.Exit(1)


@policy.command(
    epilog=examples(
        "sealane policy apply policy.yaml",
        "sealane policy apply policy.yaml --dry-run",
        "sealane policy apply policy.yaml --project acme-prod --yes",
    )
)
def apply(
    file: FILE,
    project: PROJECT = None,
    data: DATA = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show all, set nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Set it in spite of errors, where Binary Authorization takes them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JSON = False,
) -> None:
    """Check a policy, show what changes, ask, set and prove it.

    It is set only if nobody changed the one in force meanwhile. Exit 0: it is in force. 1: it is not. 2: the input is
    wrong.
    """
    import asyncio

    if not (yes or dry_run or is_person()):
        raise Invalid("nobody can be asked here: say --yes to set the policy, or --dry-run to see what would change")
    from workers.commands.policy_applying import apply_now

    if not asyncio.run(apply_now(file, project, data, dry_run=dry_run, force=force, yes=yes, as_json=as_json)):
        raise typer.Exit(1)


@policy.command(
    epilog=examples(
        "sealane policy explain europe-docker.pkg.dev/acme/apps/shop@sha256:…",
        "sealane policy explain gcr.io/acme/shop:1.4.2 --cluster europe-west1.prod -f policy.yaml",
        "sealane policy explain gcr.io/acme/shop@sha256:… --service-account shop:default --json",
    )
)
def explain(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="As it is deployed: HOST/PATH, :TAG, @sha256:….")],
    cluster: Annotated[str, typer.Option("--cluster", metavar="L.C", help="LOCATION.CLUSTER it runs on.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", metavar="N", help="Kubernetes namespace.")] = "",
    account: Annotated[str, typer.Option("--service-account", metavar="N:A", help="NAMESPACE:ACCOUNT.")] = "",
    istio: Annotated[str, typer.Option("--istio", metavar="SPIFFE", help="spiffe://DOMAIN/ns/N/sa/A.")] = "",
    file: Annotated[str | None, typer.Option("-f", "--file", metavar="FILE", help="Not the live policy.")] = None,
    project: PROJECT = None,
    data: DATA = None,
    *,
    as_json: JSON = False,
) -> None:
    """Say which rule decides on an image, and what would admit it.

    With nothing said about the workload it is one on Cloud Run, which knows only the default rule. Exit 0: the image
    is admitted. 1: it is not, or that cannot be known. 2: the input is wrong.
    """
    import asyncio

    from workers.commands.policy_pages import show_decision

    workload = workload_of(cluster, namespace, account, istio)
    where, decision = asyncio.run(explain_now(image, workload, file, project, data))
    show_decision(image, where, decision, as_json=as_json)
    if decision.verdict != "ADMITTED":
        raise typer.Exit(1)


async def lint_now(
    file: str | None, project: str | None, data: Path | None, *, offline: bool, open_ports: OpenPorts | None = None
) -> "tuple[str, tuple[Finding, ...]]":
    """Return where the policy is, and what is wrong with it."""
    from workers.policy.facts import Facts
    from workers.policy.lint import lint as lint_policy

    read = read_file(file) if file is not None else None
    if offline:
        if read is None:
            raise Invalid("--offline needs a FILE: the live policy can only be had by asking")
        return read.where, read.lint(Facts(project=project))
    from workers.app.policies import gather

    async with (open_ports or _policy_ports())(data) as ports:
        if read is None:
            live = await ports.policies.get(f"projects/{project or ports.usual_project}")
            return f"projects/{project or ports.usual_project}/policy", lint_policy(live, await gather(live, ports))
        of = project or project_of(read.policy) or ports.usual_project
        live_now = await _live_or_none(of, ports) if read.policy.etag or read.policy.update_time else None
        return read.where, read.lint(await gather(read.policy, ports, live=live_now, project=project))


async def _live_or_none(project: str, ports: "PolicyPorts") -> "Policy | None":
    """Return the policy in force; None where we may not read it, which is said of the attestors anyway."""
    from workers.failures import SealaneError

    try:
        return await ports.policies.get(f"projects/{project}")
    except SealaneError:
        return None


async def _live_and_file(file: str, project: str | None, data: Path | None) -> "tuple[Policy, Policy]":
    wanted = read_file(file)
    async with _policy_ports()(data) as ports:
        name = f"projects/{target_of(wanted.policy, project, ports)}"
        return await ports.policies.get(name), readable(wanted)


async def explain_now(
    image: str,
    workload: "Workload",
    file: str | None,
    project: str | None,
    data: Path | None,
    *,
    open_ports: OpenPorts | None = None,
) -> "tuple[str, Decision]":
    """Return which policy it was, and what it decides."""
    from schemas.images import split_reference
    from workers.app.policies import system_policy
    from workers.commands.policy_verdicts import attested_by
    from workers.policy.evaluation import decide, select
    from workers.policy.lint import lint as lint_policy

    try:
        split_reference(image)
    except ValueError as error:
        raise Invalid(str(error)) from None
    read = read_file(file) if file is not None else None
    async with (open_ports or _policy_ports())(data) as ports:
        usual = project or ports.usual_project
        found = readable(read) if read is not None else await ports.policies.get(f"projects/{usual}")
        where = read.where if read is not None else f"projects/{usual}/policy"
        if any(finding.is_refused for finding in lint_policy(found)):
            which = f"--project {usual}" if file is None else shlex.quote(file)
            typer.echo(f"warning: Binary Authorization refuses this policy; see sealane policy lint {which}", err=True)
        selection = select(found, image, workload, await system_policy(found, ports.policies))
        required = () if selection.rule is None else selection.rule.require_attestations_by
        resolved, attested = await attested_by(required, image, ports)
        return where, decide(selection, image, attested, resolved)


def _policy_ports() -> OpenPorts:
    from workers.app.policies import policy_ports

    return policy_ports
