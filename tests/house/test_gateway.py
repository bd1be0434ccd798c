"""The manifests of the door: its own identity, its own policy, metrics that nobody outside reaches."""

import json
from typing import Any

import yaml

from tests.house.tree import ROOT
from workers.bus.rooms import all_wirings
from workers.bus.topology.permissions import doors
from workers.gateway.principals import read_policy
from workers.gateway.protocol import MOST_CONNECTIONS
from workers.settings import Settings


def documents(path: str) -> dict[str, Any]:
    """Return the documents of a YAML file by their kind."""
    return {document["kind"]: document for document in yaml.safe_load_all((ROOT / path).read_text())}


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Return the variables that a container is given."""
    return {one["name"]: one["value"] for one in container["env"]}


def test_deployment_opens_the_door_with_its_identity() -> None:
    """It runs unprivileged, with the seed of the gateway, and has time to answer what is under way."""
    pod = documents("deploy/kubernetes/gateway.yaml")["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert container["args"] == ["gateway"]
    assert pod["volumes"][0]["secret"]["secretName"] == "sealane-nats-gateway"
    assert pod["terminationGracePeriodSeconds"] > pause + Settings.model_fields["grace"].default.total_seconds()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    probes = (container["livenessProbe"], container["readinessProbe"])
    assert [probe["httpGet"] for probe in probes] == [
        {"path": path, "port": "metrics"} for path in ("/livez", "/readyz")
    ]


def test_grpc_is_never_plain_text_in_a_cluster() -> None:
    """The certificate, its key and the clients' root come from one Secret that is mounted."""
    pod = documents("deploy/kubernetes/gateway.yaml")["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = environment(container)
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}

    for name in ("CERTIFICATE", "KEY", "CLIENT_CA"):
        folder = given[f"SEALANE_GRPC_{name}"].removeprefix("file://").rpartition("/")[0]
        assert folder in mounted


def test_metrics_are_not_served_to_the_outside() -> None:
    """Neither the Service nor Cloud Run names the port of the metrics."""
    service = documents("deploy/kubernetes/gateway.yaml")["Service"]["spec"]["ports"]
    (container,) = documents("deploy/cloud-run/gateway.yaml")["Service"]["spec"]["template"]["spec"]["containers"]

    assert {port["name"] for port in service} == {"http", "grpc"}
    assert [port["containerPort"] for port in container["ports"]] == [Settings.model_fields["http_port"].default]


def test_door_is_scaled_and_never_gone_at_once() -> None:
    """Two replicas at least, one of which stays through every disruption."""
    found = documents("deploy/kubernetes/gateway.yaml")

    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "sealane-gateway"
    assert found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > 1
    assert found["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


CLOUD_RUN_LIMIT = 1000
"""Requests at once that an instance can be given (https://cloud.google.com/run/docs/about-concurrency)."""


def test_shipped_policy_is_one() -> None:
    """The example of the principals can be copied, and grants nothing that no door brings."""
    text = documents("deploy/kubernetes/gateway.yaml")["ConfigMap"]["data"]["principals.json"]

    assert json.loads(text)
    assert read_policy(text).within(doors(all_wirings().values())).principals


def test_cloud_run_opens_the_door_with_its_identity() -> None:
    """The service has the seed of the gateway, ends in time, and gets no more connections than the door holds."""
    spec = documents("deploy/cloud-run/gateway.yaml")["Service"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]

    assert container["args"] == ["gateway"]
    assert spec["volumes"][0]["secret"]["secretName"] == "sealane-nats-gateway"
    assert spec["containerConcurrency"] == min(MOST_CONNECTIONS, CLOUD_RUN_LIMIT)
    assert float(environment(container)["SEALANE_GRACE"]) < 10


def test_what_the_manifests_set_is_a_setting() -> None:
    """Every variable is one of ours."""
    known = {f"SEALANE_{name}".upper() for name in Settings.model_fields}
    deployment = documents("deploy/kubernetes/gateway.yaml")["Deployment"]["spec"]["template"]["spec"]
    service = documents("deploy/cloud-run/gateway.yaml")["Service"]["spec"]["template"]["spec"]

    for pod in (deployment, service):
        assert set(environment(pod["containers"][0])) <= known
