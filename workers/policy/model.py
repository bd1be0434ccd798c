"""A policy as the API knows it, before anybody asked whether it makes sense.

Every field may be missing, since a file may lack it; an enum's `…_UNSPECIFIED` is read as missing, which is what it
means to the API.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

EvaluationMode = Literal["ALWAYS_ALLOW", "REQUIRE_ATTESTATION", "ALWAYS_DENY"]
EnforcementMode = Literal["ENFORCED_BLOCK_AND_AUDIT_LOG", "DRYRUN_AUDIT_LOG_ONLY"]
GlobalMode = Literal["ENABLE", "DISABLE"]
Path = tuple[str | int, ...]
"""Where something is in a policy: names of fields, keys of maps and numbers in lists, as the file writes them."""

POLICY_NAME = r"projects/(?P<project>(?:[a-z0-9.-]+:)?[a-z0-9-]+)/policy"
DEFAULT_RULE = "defaultAdmissionRule"
PATTERNS = "admissionWhitelistPatterns"


def _unspecified(value: Any) -> Any:
    return None if isinstance(value, str) and value.endswith("_UNSPECIFIED") else value


class _Message(BaseModel):
    """Strict about types and names; written in camelCase as the API's JSON is, made in Python by either."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class WhitelistPattern(_Message):
    """Images that are exempt from all rules."""

    name_pattern: str | None = None


class AdmissionRule(_Message):
    """What has to hold for an image to run, and what happens if it does not."""

    evaluation_mode: Annotated[EvaluationMode | None, BeforeValidator(_unspecified)] = None
    require_attestations_by: Annotated[tuple[str, ...], Field(strict=False)] = ()
    enforcement_mode: Annotated[EnforcementMode | None, BeforeValidator(_unspecified)] = None

    @property
    def is_dry_run(self) -> bool:
        """Whether a refusal is only written to the audit log."""
        return self.enforcement_mode == "DRYRUN_AUDIT_LOG_ONLY"


class Policy(_Message):
    """The policy of a project."""

    name: str | None = None
    description: str | None = None
    global_policy_evaluation_mode: Annotated[GlobalMode | None, BeforeValidator(_unspecified)] = None
    admission_whitelist_patterns: Annotated[tuple[WhitelistPattern, ...], Field(strict=False)] = ()
    cluster_admission_rules: dict[str, AdmissionRule] = Field(default_factory=dict)
    kubernetes_namespace_admission_rules: dict[str, AdmissionRule] = Field(default_factory=dict)
    kubernetes_service_account_admission_rules: dict[str, AdmissionRule] = Field(default_factory=dict)
    istio_service_identity_admission_rules: dict[str, AdmissionRule] = Field(default_factory=dict)
    default_admission_rule: AdmissionRule | None = None
    update_time: str | None = None
    etag: str | None = None

    @property
    def maps(self) -> Mapping[str, Mapping[str, AdmissionRule]]:
        """The maps of specific rules by their names in a file, those that say most of a workload first."""
        return {
            "istioServiceIdentityAdmissionRules": self.istio_service_identity_admission_rules,
            "kubernetesServiceAccountAdmissionRules": self.kubernetes_service_account_admission_rules,
            "kubernetesNamespaceAdmissionRules": self.kubernetes_namespace_admission_rules,
            "clusterAdmissionRules": self.cluster_admission_rules,
        }

    @property
    def rules(self) -> Iterator[tuple[Path, AdmissionRule]]:
        """Every rule with its place, the default one first."""
        if self.default_admission_rule is not None:
            yield (DEFAULT_RULE,), self.default_admission_rule
        for name, rules in self.maps.items():
            for key, rule in rules.items():
                yield (name, key), rule

    @property
    def patterns(self) -> Iterator[tuple[Path, str]]:
        """Every pattern of exempt images with its place."""
        for number, pattern in enumerate(self.admission_whitelist_patterns):
            yield (PATTERNS, number, "namePattern"), pattern.name_pattern or ""

    @property
    def attestors(self) -> tuple[str, ...]:
        """The names of all attestors that some rule wants, each once, in their order."""
        return tuple(dict.fromkeys(name for _, rule in self.rules for name in rule.require_attestations_by))

    @property
    def applies_global(self) -> bool:
        """Whether Google's own list of exempt system images counts; unspecified means that it does not."""
        return self.global_policy_evaluation_mode == "ENABLE"


def bare_identity(identity: str) -> str:
    """Return an Istio service identity without the `spiffe://` that it may be written with."""
    return identity.removeprefix("spiffe://")
