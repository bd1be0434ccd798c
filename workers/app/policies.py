"""What the commands about policies need of the outside, and asking it about all that a policy names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.app.clouds import Clouds
from workers.app.environment import load_settings
from workers.failures import Denied, NotFound, SealaneError
from workers.policy.facts import Answer, AttestorFact, Facts
from workers.policy.model import Policy
from workers.policy.rules import ATTESTOR
from workers.ports import Attestations, Attestors, Images, Notes, Policies

AT_ONCE = 8
"""Questions under way: the quota is 100 reads a minute, and a policy seldom names more than a handful."""


@dataclass(frozen=True, slots=True)
class PolicyPorts:
    """The ports, and the project in which this installation works."""

    policies: Policies
    attestors: Attestors
    notes: Notes
    attestations: Attestations
    images: Images
    project: str | None
    """Its id, where the settings say one; None where nobody did."""
    usual_project: str
    """The project where neither a setting nor anything else says one."""


@asynccontextmanager
async def policy_ports(data: Path | None = None) -> AsyncIterator[PolicyPorts]:
    """Open the ports. Nothing is asked yet."""
    settings = load_settings(data)
    async with Clouds(settings) as clouds:
        yield PolicyPorts(
            policies=await clouds.port(Policies),
            attestors=await clouds.port(Attestors),
            notes=await clouds.port(Notes),
            attestations=await clouds.port(Attestations),
            images=await clouds.port(Images),
            project=settings.project if "project" in settings.model_fields_set else None,
            usual_project=settings.project,
        )


async def gather(
    policy: Policy, ports: PolicyPorts, *, live: Policy | None = None, project: str | None = None
) -> Facts:
    """Ask about every attestor that the policy names, and its note. What cannot be asked is `unknown`, never fine."""
    names = [name for name in policy.attestors if ATTESTOR.fullmatch(name)]
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(name: str) -> AttestorFact:
        async with gate:
            return await _attestor(name, ports)

    try:
        # The first one alone: looking for credentials takes seconds where there are none.
        answers = [await ask(name) for name in names[:1]]
        answers += await asyncio.gather(*map(ask, names[1:]))
    except _Outsider as problem:
        return Facts(dict.fromkeys(names, AttestorFact("unknown", why=str(problem))), live=live, project=project)
    system = await system_policy(policy, ports.policies) if policy.admission_whitelist_patterns else None
    return Facts(dict(zip(names, answers, strict=True)), live=live, system=system, project=project)


class _Outsider(Exception):
    """We are denied everything, which says nothing about any one attestor."""


async def system_policy(policy: Policy, policies: Policies) -> Policy | None:
    """Return Google's own policy where it counts; None where it does not, or cannot be read, which is then unknown."""
    if not policy.applies_global:
        return None
    try:
        return await policies.system()
    except SealaneError:
        return None


async def _attestor(name: str, ports: PolicyPorts) -> AttestorFact:
    try:
        attestor = await ports.attestors.get(name)
    except SealaneError as problem:
        if isinstance(problem, Denied) and not _is_about(name, problem):
            raise _Outsider(str(problem)) from problem
        return AttestorFact(_answer(problem), why=str(problem))
    try:
        await ports.notes.get(attestor.note)
    except SealaneError as problem:
        return AttestorFact("there", attestor=attestor, note=_answer(problem), note_why=str(problem))
    return AttestorFact("there", attestor=attestor)


def _is_about(name: str, problem: Denied) -> bool:
    return name in str(problem) and "UNAUTHENTICATED" not in str(problem)


def _answer(problem: SealaneError) -> Answer:
    if isinstance(problem, NotFound):
        return "missing"
    return "denied" if isinstance(problem, Denied) else "unknown"
