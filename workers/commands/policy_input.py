"""What is typed to the commands about policies: files, workloads, projects; checked before anything is opened."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workers.failures import Invalid, Mismatch

if TYPE_CHECKING:
    from workers.app.policies import PolicyPorts
    from workers.policy.evaluation import Workload
    from workers.policy.lint import PolicyFile
    from workers.policy.model import Policy

STDIN = "stdin"
"""What `-` is called in sentences."""


def workload_of(cluster: str, namespace: str, account: str, istio: str) -> "Workload":
    """Return the workload that was described; what an identity says of account and namespace need not be repeated."""
    import re

    from workers.policy.evaluation import Workload
    from workers.policy.model import bare_identity

    if cluster and not re.fullmatch(r"[^.\s]+\.[^.\s]+", cluster):
        raise Invalid(f"{cluster!r} is not a cluster: write LOCATION.CLUSTER, as in europe-west1.prod")
    found = re.fullmatch(r"[^/\s]+/ns/([^/\s]+)/sa/([^/\s]+)", bare_identity(istio))
    if istio and found is None:
        raise Invalid(f"{istio!r} is not an Istio service identity: write spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT")
    account = account or (f"{found[1]}:{found[2]}" if found else "")
    if account and not re.fullmatch(r"[^:\s]+:[^:\s]+", account):
        raise Invalid(f"{account!r} is not a Kubernetes service account: write NAMESPACE:ACCOUNT, as in prod:default")
    if namespace and account and account.partition(":")[0] != namespace:
        raise Invalid(f"the service account {account} is in another namespace than {namespace}: say one of the two")
    return Workload(cluster, namespace or account.partition(":")[0], account, istio)


def read_file(file: str) -> "PolicyFile":
    """Return the policy in a file, or on stdin. Raises Invalid."""
    from workers.policy.lint import PolicyFile
    from workers.policy.reading import LARGEST

    if file == "-":
        return PolicyFile(sys.stdin.buffer.read(LARGEST + 1), STDIN)
    try:
        with Path(file).open("rb") as opened:
            return PolicyFile(opened.read(LARGEST + 1), file)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror or error}") from None


def target_of(policy: "Policy", project: str | None, ports: "PolicyPorts") -> str:
    """Return the id of the project whose policy is meant. Raises Mismatch when settings and file disagree about it."""
    named = project_of(policy)
    wanted = project or ports.project
    if wanted is not None and named is not None and wanted != named:
        raise Mismatch(
            f"the file is the policy of the project {named}, and that of {wanted} is asked for:"
            + (f" say --project {named}, or" if project is None else "")
            + " change or remove `name:` in the file"
        )
    return wanted or named or ports.usual_project


def project_of(policy: "Policy") -> str | None:
    """Return the id of the project that the policy names, if it does."""
    import re

    from workers.policy.model import POLICY_NAME

    found = re.fullmatch(POLICY_NAME, policy.name or "")
    return found["project"] if found else None


def readable(read: "PolicyFile") -> "Policy":
    """Return the policy if all of the file is understood. Raises Invalid: a part of a policy is none."""
    if not read.is_whole:
        file = "-" if read.where == STDIN else shlex.quote(read.where)
        raise Invalid(f"{read.where} holds what no policy has: sealane policy lint {file} says what and where")
    return read.policy
