"""The port to Binary Authorization's policies. Only commands ask for it: no worker may change what may run."""

from typing import Protocol

from workers.policy.model import Policy


class Policies(Protocol):
    """Binary Authorization's policies, one in each project; nothing is cached."""

    async def get(self, project: str) -> Policy:
        """Return the policy in force in a project (`projects/P`), with its etag; a project without one has the default.

        Raises Denied, Invalid, Unavailable, QuotaExhausted.
        """

    async def system(self) -> Policy:
        """Return Google's own policy, whose patterns count where a policy enables the global one.

        Raises Denied, Invalid, NotFound, Unavailable, QuotaExhausted.
        """

    async def set(self, policy: Policy, *, timeout: float) -> Policy:
        """Put a policy, which names its project, in place of the one with the same etag, and return it as stored.

        Raises Mismatch when that one was changed meanwhile, Invalid when the policy is refused or has no name or etag,
        Denied, Unavailable (also when it is not known whether it was stored) and QuotaExhausted.
        """
