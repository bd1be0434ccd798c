"""`sealane attest REPOSITORY --since DATE`: what is asked of whom, and what is refused at once."""

from pathlib import Path

import pytest

from tests.commands.command import Sealane
from workers.commands.backlog import repository_name
from workers.failures import Invalid

NAME = "projects/acme/locations/europe/repositories/apps"


@pytest.mark.parametrize("typed", [NAME, "europe-docker.pkg.dev/acme/apps"])
def test_a_repository_has_two_names(typed: str) -> None:
    """The one that docker knows, and the resource's own."""
    assert repository_name(typed) == NAME


@pytest.mark.parametrize("typed", ["apps", "gcr.io/acme/apps", "europe-docker.pkg.dev/acme/apps/shop:1", f"{NAME}/x"])
def test_what_is_no_repository_is_refused(typed: str) -> None:
    """With both forms to write."""
    with pytest.raises(Invalid, match="is no repository of Artifact Registry: write LOCATION-docker"):
        repository_name(typed)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("apps", "--since", "2026-05-01"), "'apps' is no repository of Artifact Registry"),
        ((NAME, "--since", "2026-05-01", "--actor", "ci"), "drop --attestor and --actor"),
        ((NAME, "--since", "yesterday"), "'yesterday' is no time: write 2026-01-31"),
        ((NAME, "--since", "2026-05-01", "--label", "x"), "the label 'x' has no value: write --label NAME=VALUE"),
        (("gcr.io/acme/shop", "--wait"), "--wait follows what --since announces"),
        (("gcr.io/acme/shop", "--label", "=x"), "the label '' has no value"),
        (("gcr.io/acme/shop", "--environment", "a b"), "the field 'environment' does not have the right form"),
    ],
)
async def test_bad_input_is_one_sentence_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """Before anything is asked or published."""
    done = await Sealane("nats://127.0.0.1:1", tmp_path)("attest", *arguments)

    assert (done.code, done.out) == (2, "")
    assert sentence in " ".join(done.err.split())
