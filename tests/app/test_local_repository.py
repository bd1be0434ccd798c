"""The repository that the door of a local world knows."""

import pytest

from workers.app.local_repository import with_local_repository
from workers.failures import Invalid
from workers.gateway.principals import Policy

ENDPOINTS = {"oidc": "http://127.0.0.1:20001", "http": "http://127.0.0.1:20002", "registry": "127.0.0.1:20003"}
GITHUB = {"name": "github", "kind": "github", "issuer": "http://127.0.0.1:20001/github", "audience": "https://door"}


def test_repository_is_bound_by_ids_and_to_its_path() -> None:
    """Its name alone proves nothing, and it announces images below one path only."""
    policy = with_local_repository(Policy(), ENDPOINTS)
    (principal,) = policy.principals

    assert principal.claims["repository_id"] == "1296269"
    assert principal.claims["repository_owner_id"] == "583231"
    assert [(grant.type, grant.where) for grant in principal.may_publish] == [
        ("image.pushed", {"image": "127.0.0.1:20003/acme/shop/**"})
    ]
    assert policy.issuers[0].audience == "http://127.0.0.1:20002"


def test_issuer_of_a_users_own_policy_stays_as_it_is() -> None:
    """Whoever names the local GitHub in SEALANE_PRINCIPALS keeps name and audience; theirs come first."""
    mine = {"name": "mine", "issuer": "github", "claims": {"repository_id": "1"}, "may_publish": []}
    given = Policy.model_validate({"issuers": [GITHUB], "principals": [mine]})
    policy = with_local_repository(given, ENDPOINTS)

    assert policy.issuers == given.issuers
    assert [principal.name for principal in policy.bearers(policy.issuers[0])] == ["mine", "local-github/acme/shop"]


def test_principal_of_the_same_name_is_a_contradiction() -> None:
    """Nobody else is called as the repository is."""
    given = Policy.model_validate(
        {
            "issuers": [GITHUB],
            "principals": [
                {
                    "name": "local-github/acme/shop",
                    "issuer": "github",
                    "claims": {"repository_id": "1"},
                    "may_publish": [],
                }
            ],
        }
    )
    with pytest.raises(Invalid, match=r"SEALANE_PRINCIPALS does not fit .* 'local-github/acme/shop' is there twice"):
        with_local_repository(given, ENDPOINTS)
