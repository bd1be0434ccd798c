"""Policies that Binary Authorization would take, and images and workloads that they may be about."""

from hypothesis import strategies as st

from workers.policy.evaluation import Workload
from workers.policy.model import AdmissionRule, Policy, WhitelistPattern, bare_identity

ATTESTORS = ("projects/acme/attestors/ci", "projects/acme/attestors/scan", "projects/acme/attestors/keyless")
DENY = AdmissionRule(evaluation_mode="ALWAYS_DENY", enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG")
REQUIRE = AdmissionRule(
    evaluation_mode="REQUIRE_ATTESTATION",
    enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG",
    require_attestations_by=ATTESTORS[:2],
)
DIGESTS = tuple("sha256:" + letter * 64 for letter in "abcd")
_REPOSITORIES = (
    "gcr.io/acme/shop",
    "gcr.io/acme/shop/web",
    "gcr.io/acme2/shop",
    "gke.gcr.io/pause",
    "gcr.io/google-containers/pause",
    "eu.gcr.io/acme/shop",
)
_CLUSTERS = ("us-east1-b.prod", "us-east1-b.test", "europe-west1.prod")
_NAMESPACES = ("prod", "test")
_ACCOUNTS = ("prod:default", "test:default")
_IDENTITIES = ("acme.example/ns/prod/sa/default", "acme.example/ns/test/sa/default")


def rules() -> st.SearchStrategy[AdmissionRule]:
    """Return rules of every mode."""
    enforcement = st.sampled_from(["ENFORCED_BLOCK_AND_AUDIT_LOG", "DRYRUN_AUDIT_LOG_ONLY"])
    plain = st.builds(
        AdmissionRule, evaluation_mode=st.sampled_from(["ALWAYS_ALLOW", "ALWAYS_DENY"]), enforcement_mode=enforcement
    )
    required = st.builds(
        AdmissionRule,
        evaluation_mode=st.just("REQUIRE_ATTESTATION"),
        enforcement_mode=enforcement,
        require_attestations_by=st.lists(st.sampled_from(ATTESTORS), min_size=1, max_size=3, unique=True).map(tuple),
    )
    return st.one_of(plain, required)


def images() -> st.SearchStrategy[str]:
    """Return references by tag, by digest, by both and by neither."""
    versions = st.sampled_from(["", ":1", ":1.2", *(f"@{digest}" for digest in DIGESTS), f":1@{DIGESTS[0]}"])
    return st.builds("{}{}".format, st.sampled_from(_REPOSITORIES), versions)


def _pattern(image: str, cut: int, star: str) -> str:
    host = image.index("/") + 1
    return image[: max(host, len(image) - cut)] + star if star else image


def patterns() -> st.SearchStrategy[WhitelistPattern]:
    """Return patterns that are images, cut at some place after the host and starred."""
    names = st.builds(_pattern, images(), st.integers(0, 80), st.sampled_from(["", "*", "**"]))
    return names.map(lambda name: WhitelistPattern(name_pattern=name))


def _maps() -> st.SearchStrategy[dict[str, dict[str, AdmissionRule]]]:
    """Return at most one map of specific rules, which is all that may be filled."""
    spelled = st.sampled_from([*_IDENTITIES, *(f"spiffe://{one}" for one in _IDENTITIES)])
    kinds = (
        ("cluster_admission_rules", st.sampled_from(_CLUSTERS)),
        ("kubernetes_namespace_admission_rules", st.sampled_from(_NAMESPACES)),
        ("kubernetes_service_account_admission_rules", st.sampled_from(_ACCOUNTS)),
        ("istio_service_identity_admission_rules", spelled),
    )
    return st.one_of(st.just({}), *(_map(name, keys) for name, keys in kinds))


def _map(name: str, keys: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, dict[str, AdmissionRule]]]:
    pairs = st.lists(st.tuples(keys, rules()), min_size=1, max_size=3, unique_by=lambda pair: bare_identity(pair[0]))
    return pairs.map(lambda found: {name: dict(found)})


def policies() -> st.SearchStrategy[Policy]:
    """Return whole policies of the project acme."""
    return st.builds(
        lambda mode, exempt, maps, default: Policy(
            name="projects/acme/policy",
            global_policy_evaluation_mode=mode,
            admission_whitelist_patterns=tuple(exempt),
            default_admission_rule=default,
            **maps,
        ),
        st.sampled_from([None, "ENABLE", "DISABLE"]),
        st.just([]) | st.lists(patterns(), max_size=3),
        _maps(),
        rules(),
    )


def workloads() -> st.SearchStrategy[Workload]:
    """Return workloads on every platform; what a platform does not know is empty."""
    return st.builds(
        lambda cluster, namespace, account, identity: Workload(
            cluster, namespace, f"{namespace}:{account}" if namespace and account else "", identity
        ),
        st.sampled_from(["", *_CLUSTERS]),
        st.sampled_from(["", *_NAMESPACES]),
        st.sampled_from(["", "default"]),
        st.sampled_from(["", *_IDENTITIES, f"spiffe://{_IDENTITIES[0]}"]),
    )
