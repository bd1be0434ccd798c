"""Policies on Binary Authorization: https://cloud.google.com/binary-authorization/docs/reference/rpc."""

from typing import Any

from workers.adapters.google.connection import BINAUTHZ, SYSTEM_POLICY, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.failures import Invalid, Mismatch, Unavailable
from workers.policy.changes import changes
from workers.policy.model import Policy

READ_SECONDS = 10.0
_SYSTEM = "locations/global/policy"
_MAPS = tuple(name for name in Policy.model_fields if name.endswith("_admission_rules"))
_VIEWER = "roles/binaryauthorization.policyViewer"
_EDITOR = "roles/binaryauthorization.policyEditor"


class BinauthzPolicies:
    """The policies of projects, named `projects/P/policy`."""

    def __init__(self, google: GoogleConnection) -> None:
        self._google = google

    async def get(self, project: str) -> Policy:
        """Ask GetPolicy."""
        name = f"{project}/policy"
        await self._google.prepare(BINAUTHZ)
        errand = _errand("read the policy", name, "get", _VIEWER, "write projects/PROJECT")
        answer = await self._google.call(BINAUTHZ, "get_policy", {"name": name}, errand=errand, timeout=READ_SECONDS)
        return _policy(answer)

    async def system(self) -> Policy:
        """Ask GetSystemPolicy."""
        await self._google.prepare(SYSTEM_POLICY)
        errand = _errand("read the system policy", _SYSTEM, "get", _VIEWER, "check the endpoint")
        request = {"name": _SYSTEM}
        answer = await self._google.call(
            SYSTEM_POLICY, "get_system_policy", request, errand=errand, timeout=READ_SECONDS
        )
        return _policy(answer)

    async def set(self, policy: Policy, *, timeout: float) -> Policy:
        """Ask UpdatePolicy, whose etag guards against undoing what others did (https://google.aip.dev/154)."""
        if not policy.name or not policy.etag:
            raise Invalid("a policy without name and etag may undo what others did: read the one in force first")
        errand = _errand("set the policy", policy.name, "update", _EDITOR, "run sealane policy lint on it")
        try:
            answer = await self._google.call(
                BINAUTHZ, "update_policy", {"policy": _message(policy)}, errand=errand, timeout=timeout
            )
        except (Invalid, Unavailable):
            # The status of a stale etag is not documented, and an answer may be lost: what is there now says which.
            return await self._settled(policy)
        return _policy(answer)

    async def _settled(self, policy: Policy) -> Policy:
        """Return the policy if it is in force after all, raise Mismatch if another one is; else the failure at hand."""
        found = await self.get(str(policy.name).removesuffix("/policy"))
        if found.etag == policy.etag:
            raise  # noqa: PLE0704 - called while a failure is handled, which says why nothing was stored
        if changes(found, policy):
            raise Mismatch(
                f"the policy {policy.name} was changed by somebody else (its etag is {found.etag}, not {policy.etag}):"
                " look at it again, then repeat your change"
            )
        return found


def _policy(answer: Any) -> Policy:
    """Return the message as our model; what is not set is None."""
    maps = {name: {key: _rule(rule) for key, rule in getattr(answer, name).items()} for name in _MAPS}
    default = _rule(answer.default_admission_rule) if "default_admission_rule" in answer else None
    return Policy.model_validate(
        maps
        | {
            "name": answer.name or None,
            "description": answer.description or None,
            "global_policy_evaluation_mode": answer.global_policy_evaluation_mode.name,
            "admission_whitelist_patterns": [
                {"name_pattern": pattern.name_pattern} for pattern in answer.admission_whitelist_patterns
            ],
            "default_admission_rule": default,
            "update_time": answer.update_time.rfc3339() if answer.update_time else None,
            "etag": answer.etag or None,
        }
    )


def _rule(rule: Any) -> dict[str, Any]:
    return {
        "evaluation_mode": rule.evaluation_mode.name,
        "enforcement_mode": rule.enforcement_mode.name,
        "require_attestations_by": list(rule.require_attestations_by),
    }


def _message(policy: Policy) -> dict[str, Any]:
    """Return the request: all but what only the server says."""
    return policy.model_dump(mode="json", by_alias=False, exclude_none=True, exclude={"update_time"})


def _errand(doing: str, resource: str, verb: str, role: str, remedy: str) -> Errand:
    return Errand(BINAUTHZ.title, doing, resource, f"binaryauthorization.policy.{verb}", role, remedy)
