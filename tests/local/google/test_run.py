"""Cloud Run: new revisions are put to the policy, and nothing else is."""

import logging
from typing import Any

import grpc
import pytest
from google.api_core import exceptions

from tests.local.google.clients import Caller, Clients
from tests.local.google.scenes import ATTESTOR, DIGEST, PROJECT, Signer, occurrence

LOCATION = f"{PROJECT}/locations/europe-west3"
SERVICE = f"{LOCATION}/services/shop"
IMAGE = f"europe-docker.pkg.dev/demo/apps/shop@{DIGEST}"
ENFORCED = {"enforcement_mode": "ENFORCED_BLOCK_AND_AUDIT_LOG"}
DENY = {"evaluation_mode": "ALWAYS_DENY", **ENFORCED}
REQUIRE = {"evaluation_mode": "REQUIRE_ATTESTATION", "require_attestations_by": [ATTESTOR], **ENFORCED}
DEFAULT = {"use_default": True}


async def set_rule(clients: Clients, rule: dict[str, Any]) -> None:
    """Make *rule* the project's default rule."""
    await clients.binauthz.update_policy(policy={"name": f"{PROJECT}/policy", "default_admission_rule": rule})


def wanted(*images: str, authorization: dict[str, Any] | None = None, **template: Any) -> dict[str, Any]:
    """Return a service of *images*, under Binary Authorization when its settings are given."""
    containers = [{"image": image} for image in images or (IMAGE,)]
    service: dict[str, Any] = {"template": {"containers": containers, **template}}
    return service | ({"binary_authorization": authorization} if authorization else {})


async def create(run: Caller, service: dict[str, Any], service_id: str = "shop") -> Any:
    """Create a service and wait for the end of the operation."""
    return await run.done("create_service", parent=LOCATION, service_id=service_id, service=service)


async def update(run: Caller, service: dict[str, Any], mask: str = "") -> Any:
    """Patch the service and wait for the end of the operation."""
    request: dict[str, Any] = {"service": {"name": SERVICE} | service}
    return await run.done("update_service", **request, **({"update_mask": {"paths": [mask]}} if mask else {}))


async def test_without_binary_authorization_every_image_is_admitted(clients: Clients) -> None:
    """The policy of the project is not asked."""
    await set_rule(clients, DENY)
    service = await create(clients.services, wanted("shop:1"))

    assert service.name == SERVICE
    assert service.terminal_condition.state.name == "CONDITION_SUCCEEDED"
    assert service.latest_ready_revision == service.latest_created_revision
    assert service.observed_generation == service.generation == 1
    assert await clients.services.get_service(name=SERVICE) == service


async def test_an_unsigned_image_is_refused_and_the_signed_one_admitted(clients: Clients, over_grpc: Clients) -> None:
    """The refusal is in the operation, in the service and in the revision; a new revision is checked anew."""
    signer = Signer(over_grpc)
    await signer.seed()
    await set_rule(clients, REQUIRE)
    with pytest.raises(exceptions.GoogleAPICallError, match=f"Container image '{IMAGE}' is not authorized by policy"):
        await create(clients.services, wanted(authorization=DEFAULT))
    refused = await clients.services.get_service(name=SERVICE)
    await clients.grafeas.create_occurrence(parent=PROJECT, occurrence=occurrence(await signer.sign()))
    admitted = await update(clients.services, wanted(authorization=DEFAULT, revision="shop-signed"))

    first, second = await clients.revisions.list_revisions(parent=SERVICE)
    assert refused.terminal_condition.state.name == "CONDITION_FAILED"
    assert refused.terminal_condition.reason.name == "CONTAINER_IMAGE_UNAUTHORIZED"
    assert "is not ready and cannot serve traffic" in refused.terminal_condition.message
    assert f"denied by attestor {ATTESTOR}: No attestations found" in refused.terminal_condition.message
    assert (refused.latest_created_revision, refused.latest_ready_revision) == (first.name, "")
    assert first.conditions[0].reason.name == "CONTAINER_IMAGE_UNAUTHORIZED"
    assert admitted.latest_ready_revision == second.name == f"{SERVICE}/revisions/shop-signed"
    assert second.containers[0].image == IMAGE
    assert await clients.revisions.get_revision(name=second.name) == second


async def test_a_refusal_is_an_answer_and_no_warning(over_grpc: Clients, caplog: pytest.LogCaptureFixture) -> None:
    """Who deploys is told; the log keeps it for who looks."""
    await set_rule(over_grpc, DENY)
    with caplog.at_level(logging.INFO), pytest.raises(exceptions.GoogleAPICallError, match="always_deny"):
        await create(over_grpc.services, wanted(authorization=DEFAULT))

    (said,) = [record for record in caplog.records if record.name == "workers.local.google.run.revisions"]
    assert said.levelno == logging.INFO
    assert IMAGE in said.getMessage()


async def test_a_refused_update_leaves_the_ready_revision(over_grpc: Clients) -> None:
    """What served before goes on serving."""
    before = await create(over_grpc.services, wanted(authorization=DEFAULT))
    await set_rule(over_grpc, DENY)
    with pytest.raises(exceptions.GoogleAPICallError, match="always_deny admission rule"):
        await update(over_grpc.services, wanted("shop:2", authorization=DEFAULT))
    after = await over_grpc.services.get_service(name=SERVICE)

    assert after.latest_ready_revision == before.latest_ready_revision
    assert after.latest_created_revision != before.latest_created_revision
    assert (after.generation, after.observed_generation) == (2, 1)


async def test_a_stricter_policy_is_not_applied_to_what_is_deployed(over_grpc: Clients) -> None:
    """Neither by itself nor when something other than the template changes."""
    before = await create(over_grpc.services, wanted())
    await set_rule(over_grpc, DENY)
    enabled = await update(over_grpc.services, {"binary_authorization": DEFAULT}, "binary_authorization")

    assert enabled.binary_authorization.use_default
    assert enabled.latest_created_revision == before.latest_created_revision
    assert enabled.terminal_condition.state.name == "CONDITION_SUCCEEDED"
    assert enabled.observed_generation == 2


async def test_every_container_is_checked(over_grpc: Clients) -> None:
    """A sidecar that nobody attested stops the revision."""
    patterns = [{"name_pattern": "a/*"}]
    policy = {"name": f"{PROJECT}/policy", "default_admission_rule": DENY, "admission_whitelist_patterns": patterns}
    await over_grpc.binauthz.update_policy(policy=policy)
    with pytest.raises(exceptions.GoogleAPICallError, match="Container image 'b/sidecar:1'"):
        await create(over_grpc.services, wanted("a/shop:1", "b/sidecar:1", authorization=DEFAULT))


async def test_breakglass_admits_and_is_logged(over_grpc: Clients, caplog: pytest.LogCaptureFixture) -> None:
    """The justification is what the audit log gets."""
    await set_rule(over_grpc, DENY)
    with caplog.at_level(logging.WARNING):
        service = await create(
            over_grpc.services, wanted(authorization=DEFAULT | {"breakglass_justification": "the shop is down"})
        )

    assert service.terminal_condition.state.name == "CONDITION_SUCCEEDED"
    assert "admitted by breakglass: the shop is down" in caplog.text


async def test_a_dry_run_admits_and_is_logged(over_grpc: Clients, caplog: pytest.LogCaptureFixture) -> None:
    """What would have been refused is written down."""
    await set_rule(over_grpc, DENY | {"enforcement_mode": "DRYRUN_AUDIT_LOG_ONLY"})
    with caplog.at_level(logging.WARNING):
        service = await create(over_grpc.services, wanted(authorization=DEFAULT))

    assert service.latest_ready_revision
    assert f"Admitted by dry run; would be refused otherwise: Image {IMAGE}" in caplog.text


async def test_a_platform_policy_fails_closed(over_grpc: Clients) -> None:
    """It cannot be evaluated here, so nothing is admitted by it."""
    with pytest.raises(exceptions.GoogleAPICallError, match="platforms/cloudRun/strict cannot be evaluated"):
        await create(over_grpc.services, wanted(authorization={"policy": f"{PROJECT}/platforms/cloudRun/strict"}))
    service = await over_grpc.services.get_service(name=SERVICE)

    assert service.terminal_condition.reason.name == "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED"


@pytest.mark.parametrize(
    ("service", "sentence"),
    [
        ({}, "containers is empty"),
        (wanted(""), r"containers\[0\].image is empty"),
        (wanted(authorization={"policy": "strict"}), "form is projects"),
        (wanted(authorization={"breakglass_justification": "now"}), "must be empty when use_default is false"),
        (wanted(authorization={"use_default": False, "breakglass_justification": "now"}), "must be empty"),
        (wanted(revision="till-1"), "must begin with shop-"),
        (wanted(revision="shop-"), "revision id"),
    ],
)
async def test_bad_services_are_refused(over_grpc: Clients, service: dict[str, Any], sentence: str) -> None:
    """INVALID_ARGUMENT, and nothing is made."""
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        await create(over_grpc.services, service)

    assert await over_grpc.services.list_services(parent=LOCATION) == []


@pytest.mark.parametrize("service_id", ["Shop", "1shop", "shop-", "s" * 50, ""])
async def test_bad_names_are_refused(over_grpc: Clients, service_id: str) -> None:
    """Fewer than 50 lower-case characters."""
    with pytest.raises(exceptions.InvalidArgument, match="service_id"):
        await create(over_grpc.services, wanted(), service_id)


async def test_a_service_is_made_once_and_revisions_have_their_own_names(clients: Clients) -> None:
    """Both kinds of name are taken for good."""
    await create(clients.services, wanted(revision="shop-one"))
    with pytest.raises(exceptions.Conflict, match=r"Service .* already exists"):
        await create(clients.services, wanted())
    with pytest.raises(exceptions.Conflict, match=r"Revision .* already exists"):
        await update(clients.services, wanted("shop:2", revision="shop-one"))

    assert (await clients.services.get_service(name=SERVICE)).generation == 1


async def test_services_are_listed_by_pages_of_their_location(clients: Clients) -> None:
    """Other locations have lists of their own."""
    for number in range(3):
        await create(clients.services, wanted(), f"shop-{number}")
    listed = await clients.services.list_services(parent=LOCATION, page_size=2)

    assert [service.name[-1] for service in listed] == ["0", "1", "2"]
    assert await clients.services.list_services(parent=f"{PROJECT}/locations/us-central1") == []


async def test_a_patch_may_create_what_is_missing_when_it_says_so(clients: Clients) -> None:
    """allow_missing; NOT_FOUND without it."""
    with pytest.raises(exceptions.NotFound):
        await update(clients.services, wanted())
    request = {"service": {"name": SERVICE} | wanted(), "allow_missing": True}
    service = await clients.services.done("update_service", **request)

    assert service.generation == 1


async def test_an_old_etag_aborts(over_grpc: Clients) -> None:
    """Patch and delete are guarded by it."""
    old = (await create(over_grpc.services, wanted())).etag
    await update(over_grpc.services, {"description": "a shop"}, "description")
    with pytest.raises(exceptions.Aborted):
        await update(over_grpc.services, {"etag": old, "description": "the shop"}, "description")
    with pytest.raises(exceptions.Aborted):
        await over_grpc.services.delete_service(name=SERVICE, etag=old)


async def test_what_is_deleted_is_gone_with_its_revisions(clients: Clients) -> None:
    """The operation ends with the service as it was."""
    await create(clients.services, wanted(revision="shop-one"))
    deleted = await clients.services.done("delete_service", name=SERVICE)

    assert deleted.delete_time
    with pytest.raises(exceptions.NotFound):
        await clients.services.get_service(name=SERVICE)
    assert await clients.revisions.list_revisions(parent=SERVICE) == []
    assert (await create(clients.services, wanted(revision="shop-one"))).generation == 1


async def test_a_request_to_validate_changes_nothing(over_grpc: Clients) -> None:
    """The operation is done at once and nothing is kept."""
    parts = {"parent": LOCATION, "service_id": "shop", "service": wanted(), "validate_only": True}
    service = await over_grpc.services.done("create_service", **parts)

    assert service.name == SERVICE
    assert await over_grpc.services.list_services(parent=LOCATION) == []


@pytest.mark.parametrize("path", ["uid", "name", "latest_ready_revision", "template.nothing"])
async def test_what_cannot_be_changed_is_said(over_grpc: Clients, path: str) -> None:
    """A mask with an output-only or unknown field is INVALID_ARGUMENT."""
    await create(over_grpc.services, wanted())
    with pytest.raises(exceptions.InvalidArgument, match="update_mask"):
        await update(over_grpc.services, wanted(), path)


async def test_a_refusal_has_a_status(over_grpc: Clients) -> None:
    """The operation ends in an error, not in a service."""
    await set_rule(over_grpc, DENY)
    service = wanted(authorization=DEFAULT)
    begun = await over_grpc.services.create_service(parent=LOCATION, service_id="shop", service=service)
    ended = await over_grpc.services.get_operation(name=begun.operation.name)

    assert ended.WhichOneof("result") == "error"
    assert ended.error.code == grpc.StatusCode.PERMISSION_DENIED.value[0]


async def test_operations_are_found_by_name_over_both_transports(over_grpc: Clients, over_rest: Clients) -> None:
    """The first answer is not done, the second is; they are listed, and can be forgotten."""
    begun = await over_grpc.services.create_service(parent=LOCATION, service_id="shop", service=wanted())
    name = begun.operation.name

    assert not begun.operation.done
    for clients in (over_grpc, over_rest):
        found = await clients.services.get_operation(name=name)
        assert found.done
        assert found.response.type_url.endswith("google.cloud.run.v2.Service")
        listed = await clients.services.list_operations(name=LOCATION)
        assert [operation.name for operation in listed.operations] == [name]
    await over_rest.services.delete_operation(name=name)
    with pytest.raises(exceptions.NotFound):
        await over_grpc.services.wait_operation(name=name)
