"""gcloud and our own commands work on one state: what either makes, the other sees, signs with and verifies."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pysequoia import Tsk, sign

from tests.journeys.conftest import Up, sealane
from tests.journeys.test_gcloud import pushed, unpadded
from tests.journeys.test_shell import in_shell
from workers.app.clouds import Clouds
from workers.app.environment import load_settings
from workers.ports import Attestations, AttestorAdmin, AttestorRecord, Note, Notes, Policies, SigningKeys

pytestmark = [pytest.mark.gcloud, pytest.mark.timeout(600)]

KEYS = "--keyring=theirs --location=global"
ADD = "gcloud container binauthz attestors public-keys add --attestor=theirs"


@dataclass(frozen=True)
class State:
    """A world in which gcloud made a key ring, two keys and an attestor with an EC and an OpenPGP key."""

    world: Up
    pgp: Tsk
    folder: Path

    @property
    def project(self) -> str:
        """Its `projects/P`."""
        return f"projects/{self.world.endpoints['project']}"

    @property
    def attestor(self) -> str:
        """The attestor's full name."""
        return f"{self.project}/attestors/theirs"

    @property
    def fingerprint(self) -> str:
        """The id of the OpenPGP key."""
        return self.pgp.extract_certificate().fingerprint.upper()

    def version(self, key: str) -> str:
        """Return the name of the first version of a key."""
        return f"{self.project}/locations/global/keyRings/theirs/cryptoKeys/{key}/cryptoKeyVersions/1"

    def gcloud(self, *commands: str) -> Any:
        """Run commands in one shell; the last one's JSON comes back."""
        shown = in_shell(self.world.data, " && ".join(commands), timeout=300)
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout) if shown.stdout.strip() else None

    def attestations(self) -> list[dict[str, Any]]:
        """Return what gcloud lists of the attestor."""
        listed = self.gcloud("gcloud container binauthz attestations list --attestor=theirs --format=json")
        return list(listed)

    def attest(self, image: str, key: str) -> str:
        """Let our command attest an image with a key, and return what it said."""
        rule = {"match": "*/**", "attestor": self.attestor, "key": key}
        arguments = ("attest", image, "--attestor", self.attestor, "--data", str(self.world.data))
        done = sealane(*arguments, SEALANE_SIGNING_RULES=json.dumps([rule]))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def verified(self, image: str) -> bool:
        """Whether our command finds a verified attestation."""
        done = sealane("verify", image, "--attestor", self.attestor, "--data", str(self.world.data))
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 0


@asynccontextmanager
async def clouds(world: Up) -> AsyncIterator[Clouds]:
    """Give our adapters on the world."""
    async with Clouds(load_settings(world.data)) as found:
        yield found


@pytest.fixture(scope="module")
def state(idle_world: Up, tmp_path_factory: pytest.TempPathFactory) -> State:
    """Give the state that gcloud made, on a note that our adapter made: gcloud has no command for notes."""
    folder = tmp_path_factory.mktemp("gcloud")
    made = State(idle_world, Tsk.generate("builder <builder@example.com>"), folder)
    (folder / "key.pub").write_text(str(made.pgp.extract_certificate()))

    async def make_note() -> None:
        async with clouds(idle_world) as ours:
            notes: Notes = await ours.port(Notes)
            await notes.create(Note(f"{made.project}/notes/theirs", "ATTESTATION", "made by hand"), timeout=30)

    asyncio.run(make_note())
    purpose = f"{KEYS} --purpose=asymmetric-signing"
    note = f"--attestation-authority-note=theirs --attestation-authority-note-project={made.project.split('/')[1]}"
    made.gcloud(
        "gcloud kms keyrings create theirs --location=global",
        f"gcloud kms keys create ec {purpose} --default-algorithm=ec-sign-p384-sha384",
        f"gcloud kms keys create pq {purpose} --default-algorithm=pq-sign-ml-dsa-65",
        f"gcloud container binauthz attestors create theirs {note}",
        f"{ADD} --keyversion={made.version('ec')} --format=none",
        f"{ADD} --pgp-public-key-file={folder}/key.pub --comment=builder --format=none",
    )
    return made


async def test_our_adapters_see_what_gcloud_made(state: State) -> None:
    """The attestor with both keys under the ids that the service gave, and the public halves in Cloud KMS."""
    bare = state.folder / "pq.pub"
    form = f"--public-key-format=nist-pqc --output-file={bare}"
    state.gcloud(f"gcloud kms keys versions get-public-key 1 --key=pq {KEYS} {form}")
    async with clouds(state.world) as ours:
        admin: AttestorAdmin = await ours.port(AttestorAdmin)
        keys: SigningKeys = await ours.port(SigningKeys)
        record = await admin.read(state.attestor)
        listed = await admin.list(state.project)
        post_quantum = await keys.public_key(state.version("pq"))

    assert {key.id: key.algorithm for key in record.keys} == {
        f"//cloudkms.googleapis.com/v1/{state.version('ec')}": "ECDSA_P384_SHA384",
        state.fingerprint: "OPENPGP",
    }
    assert record.note == f"{state.project}/notes/theirs"
    assert record in listed
    assert post_quantum.algorithm == "ML_DSA_65"
    assert unpadded(bare.read_text()) in unpadded("".join(post_quantum.pem.splitlines()[1:-1]))


def test_what_gcloud_signs_our_command_verifies(state: State, tmp_path: Path) -> None:
    """With the key in Cloud KMS by `sign-and-create`, and with the OpenPGP key by hand and `create --validate`."""
    repository, digest = pushed(state.world, tmp_path, "kms-by-gcloud")
    assert not state.verified(f"{repository}@{digest}")
    state.gcloud(
        "gcloud beta container binauthz attestations sign-and-create --validate --attestor=theirs"
        f" --artifact-url={repository}@{digest} --keyversion={state.version('ec')} --format=none"
    )
    assert state.verified(f"{repository}@{digest}")

    repository, digest = pushed(state.world, tmp_path, "pgp-by-gcloud")
    image = f"{repository}@{digest}"
    state.gcloud(f"gcloud container binauthz create-signature-payload --artifact-url={image} >{tmp_path}/payload")
    (tmp_path / "signature").write_bytes(sign(state.pgp.signer(), (tmp_path / "payload").read_bytes()))
    state.gcloud(
        "gcloud container binauthz attestations create --validate --attestor=theirs"
        f" --artifact-url={image} --public-key-id={state.fingerprint}"
        f" --signature-file={tmp_path}/signature --payload-file={tmp_path}/payload --format=none"
    )
    assert state.verified(image)


async def test_what_our_command_signs_gcloud_lists(state: State, tmp_path: Path) -> None:
    """By each key of the attestor, with the key ids that gcloud registered; our adapter lists the same."""
    repository, digest = pushed(state.world, tmp_path, "ours")
    secret = tmp_path / "builder.key"
    with os.fdopen(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(str(state.pgp))
    state.attest(f"{repository}@{digest}", f"gcp-kms://{state.version('ec')}")
    other_repository, other = pushed(state.world, tmp_path, "ours-too")
    state.attest(f"{other_repository}@{other}", f"file://{secret}")
    listed = state.attestations()
    async with clouds(state.world) as ours:
        attestations: Attestations = await ours.port(Attestations)
        found = {one.name async for one in attestations.of_note(f"{state.project}/notes/theirs")}

    by_image = {one["resourceUri"].rpartition("@")[2]: one["attestation"]["signatures"][0] for one in listed}
    assert by_image[digest]["publicKeyId"] == f"//cloudkms.googleapis.com/v1/{state.version('ec')}"
    assert by_image[other]["publicKeyId"] == state.fingerprint
    assert unpadded(by_image[other]["signature"]).startswith(b"-----BEGIN PGP MESSAGE-----")
    assert {one["name"] for one in listed} == found


async def test_gcloud_sees_what_our_adapters_made(state: State) -> None:
    """An attestor; gcloud's change to it keeps the key of which that gcloud never heard."""
    name = f"{state.project}/attestors/ours"
    async with clouds(state.world) as ours:
        admin: AttestorAdmin = await ours.port(AttestorAdmin)
        keys: SigningKeys = await ours.port(SigningKeys)
        theirs = await admin.read(state.attestor)
        post_quantum = replace(await keys.public_key(state.version("pq")), id="urn:post-quantum")
        both = (theirs.keys[0], post_quantum)
        made = AttestorRecord(name=name, note=theirs.note, keys=both, description="by our adapter")
        await admin.create(made, timeout=30)
        shown = state.gcloud("gcloud container binauthz attestors describe ours --format=json")
        remove = f"gcloud container binauthz attestors public-keys remove '{theirs.keys[0].id}' --attestor=ours"
        state.gcloud(f"{remove} --format=none")
        changed = await admin.read(name)
        await admin.delete(name)
    attestors = state.gcloud("gcloud container binauthz attestors list --format=json")

    assert shown["description"] == "by our adapter"
    assert [key["id"] for key in shown["userOwnedGrafeasNote"]["publicKeys"]] == [key.id for key in both]
    assert [(key.id, key.algorithm, key.pem) for key in changed.keys] == [
        (post_quantum.id, "ML_DSA_65", post_quantum.pem)
    ]
    assert state.attestor in {one["name"] for one in attestors}
    assert name not in {one["name"] for one in attestors}


def test_a_policy_goes_around(state: State, tmp_path: Path) -> None:
    """Whoever exports, changes or imports it: the other has it in force; what either read before is refused then."""
    path, stale, data = tmp_path / "policy.yaml", tmp_path / "stale.yaml", ("--data", str(state.world.data))
    export = "gcloud container binauthz policy export"
    policy = state.gcloud(f"{export} --format=json")
    path.write_text(json.dumps(policy))
    linted, same = sealane("policy", "lint", str(path), *data), sealane("policy", "diff", str(path), *data)
    rule = {"evaluationMode": "REQUIRE_ATTESTATION", "requireAttestationsBy": [state.attestor]}
    path.write_text(json.dumps(policy | {"defaultAdmissionRule": policy["defaultAdmissionRule"] | rule}))
    stale.write_text(path.read_text())
    before = sealane("policy", "diff", str(path), *data)
    state.gcloud(f"gcloud container binauthz policy import {path} --format=none", f"{export} >{path}")
    after = sealane("policy", "diff", str(path), *data)
    path.write_text("admissionWhitelistPatterns:\n- namePattern: gcr.io/acme/proxy@*\n" + path.read_text())
    loosened = sealane("policy", "diff", str(path), *data)
    applied, again = [sealane("policy", "apply", str(path), "--yes", *data) for _ in range(2)]
    exported = state.gcloud(f"{export} --format=json")
    imported = in_shell(state.world.data, f"gcloud container binauthz policy import {stale}")

    assert (linted.returncode, same.returncode) == (0, 0), linted.stdout + same.stdout
    assert (before.returncode, after.returncode) == (1, 0), before.stdout + before.stderr + after.stdout + after.stderr
    assert state.attestor in before.stdout
    assert "+ admissionWhitelistPatterns: gcr.io/acme/proxy@*  (loosens)" in loosened.stdout
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert exported["admissionWhitelistPatterns"] == [{"namePattern": "gcr.io/acme/proxy@*"}]
    assert exported["defaultAdmissionRule"]["requireAttestationsBy"] == [state.attestor]
    assert (again.returncode, "was changed since" in again.stderr) == (1, True), again.stdout + again.stderr
    assert "is the subject of a conflict" in imported.stderr, "the etag of the first export is stale"


async def test_a_policy_that_the_api_forbids_is_refused_by_both(state: State, tmp_path: Path) -> None:
    """ALWAYS_DENY with attestors: in the service's words by gcloud, in our own by our command; neither stores it."""
    path = tmp_path / "policy.json"
    rule = {"evaluationMode": "ALWAYS_DENY", "requireAttestationsBy": [state.attestor]}
    enforced = {"enforcementMode": "ENFORCED_BLOCK_AND_AUDIT_LOG"}
    path.write_text(json.dumps({"defaultAdmissionRule": rule | enforced}))
    async with clouds(state.world) as ours:
        policies: Policies = await ours.port(Policies)
        before = await policies.get(state.project)
        theirs = in_shell(state.world.data, f"gcloud container binauthz policy import {path}")
        refused = sealane("policy", "apply", str(path), "--yes", "--data", str(state.world.data))
        after = await policies.get(state.project)

    assert theirs.returncode != 0
    assert "must be empty when evaluation_mode is ALWAYS_DENY" in theirs.stderr
    assert refused.returncode != 0
    assert "ALWAYS_DENY" in refused.stdout + refused.stderr
    assert after == before
