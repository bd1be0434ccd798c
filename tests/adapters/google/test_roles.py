"""A worker's service account gets the roles of its ports; what an adapter asks to be granted is among them."""

import re
from pathlib import Path

import workers.adapters
from workers.adapters.google.roles import ROLES, roles_of
from workers.bus.rooms import wiring
from workers.ports import Claims, Progress, SigningKeys

ADAPTERS = Path(next(iter(workers.adapters.__path__)))


def test_no_adapter_names_a_role_that_is_not_derived() -> None:
    """Whoever grants the derived roles is not told of another one by the first failure."""
    named = {
        role
        for file in ADAPTERS.rglob("*.py")
        if file.name != "roles.py"
        for role in re.findall(r"roles/[a-zA-Z.]+[a-zA-Z]", file.read_text())
    }

    assert len(named) >= 5
    assert named <= {role for roles in ROLES.values() for role in roles}


def test_a_worker_gets_the_roles_of_its_ports_and_no_others() -> None:
    """Least privilege on Google's side follows from the signature, as on the bus."""
    assert roles_of([Progress, Claims, SigningKeys]) == ("roles/cloudkms.signerVerifier",)
    assert roles_of(wiring("echo").asked) == ()
    assert len(roles_of(wiring("attest").asked)) == 7
