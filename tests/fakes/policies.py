"""Policies of Binary Authorization in memory: etags guard them, and what the API refuses is refused."""

from itertools import count

from workers.failures import Invalid, Mismatch
from workers.policy.lint import lint
from workers.policy.model import AdmissionRule, Policy, WhitelistPattern

EVERYTHING = AdmissionRule(evaluation_mode="ALWAYS_ALLOW", enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG")


class FakePolicies:
    """Keeps one policy for each project; one that has none has the default."""

    def __init__(self, system: Policy | None = None) -> None:
        self.stored: dict[str, Policy] = {}
        self.sets = 0
        """How often a policy was put."""
        self._system = system or Policy(
            name="locations/global/policy",
            admission_whitelist_patterns=(WhitelistPattern(name_pattern="gke.gcr.io/**"),),
        )
        self._etags = count(1)

    async def get(self, project: str) -> Policy:
        """Return the policy of the project."""
        default = Policy(
            name=f"{project}/policy",
            global_policy_evaluation_mode="ENABLE",
            default_admission_rule=EVERYTHING,
            etag='"0"',
        )
        return self.stored.get(f"{project}/policy", default)

    async def system(self) -> Policy:
        """Return Google's own."""
        return self._system

    async def set(self, policy: Policy, *, timeout: float) -> Policy:
        """Keep the policy, if the one there is still the one that was read."""
        if not policy.name or not policy.etag:
            raise Invalid("a policy without name and etag is not set")
        if (await self.get(policy.name.removesuffix("/policy"))).etag != policy.etag:
            raise Mismatch(f"{policy.name} was changed meanwhile")
        for finding in lint(policy):
            if finding.is_refused:
                raise Invalid(f"{policy.name} is refused: {finding.sentence}")
        self.sets += 1
        kept = policy.model_copy(update={"etag": f'"{next(self._etags)}"', "update_time": "2026-01-01T00:00:00Z"})
        self.stored[policy.name] = kept
        return kept
