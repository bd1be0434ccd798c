"""What lint calls refused is refused by Binary Authorization, and everything else is taken."""

from dataclasses import replace
from pathlib import Path

from tests.contracts.google import PROJECT, google_world
from tests.policy.conftest import attestor, facts, key  # noqa: F401 - `facts` is a fixture
from workers.adapters.google.policies import BinauthzPolicies
from workers.failures import Invalid
from workers.policy.facts import Facts
from workers.policy.lint import PolicyFile

BROKEN = sorted((Path(__file__).parents[2] / "policy" / "broken").glob("*.yaml"))
NAMES = ("built-by-ci", "scanned", "keyless", "noteless")
OTHERS = ("no-prefix", "small-letters", "other-key", "local-id", "wrong-algorithm")
"""What is wrong with their keys is nothing that a policy is refused for."""


async def test_lint_and_the_service_refuse_the_same_policies(
    tmp_path: Path,
    facts: Facts,  # noqa: F811 - the fixture
) -> None:
    """Every broken policy that can be read is really set, or really refused."""
    expected: dict[str, bool] = {}
    refused: dict[str, bool] = {}
    async with google_world(tmp_path) as world:
        note = await world.note("ci")
        for name in (*NAMES, *OTHERS):
            await world.attestor(name, note, *([] if name == "keyless" else [replace(key(), id="")]))
        policies = BinauthzPolicies(world.connection)
        for path in BROKEN:
            read = PolicyFile(path.read_bytes(), path.name)
            if not read.is_whole:
                continue
            live = await policies.get(PROJECT)
            wanted = read.policy.model_copy(update={"name": live.name, "etag": live.etag})
            is_refused = any(finding.is_refused for finding in read.lint(facts))
            expected[path.stem] = is_refused
            try:
                await policies.set(wanted, timeout=30)
                refused[path.stem] = False
            except Invalid:
                refused[path.stem] = True

    assert refused == expected
    assert {True, False} == set(refused.values())
    assert len(refused) >= 20
