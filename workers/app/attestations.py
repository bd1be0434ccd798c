"""Lists and removes attestations: those of an image, of an attestor or of a note."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from schemas.images import split_reference
from workers.app.attestors import AttestorPorts
from workers.attest.rules import claim_key
from workers.attestors.listing import natural_id
from workers.attestors.names import attestor_name, note_name, occurrence_name, project_of
from workers.attestors.patience import Patience
from workers.failures import Invalid, NotFound
from workers.ports import Attestation

CALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Which attestations are meant, as somebody typed it."""

    image: str | None = None
    attestor: str | None = None
    note: str | None = None
    since: datetime | None = None

    def check(self) -> None:
        """Raise Invalid when nothing is asked, or it cannot be understood."""
        if self.image is None and self.attestor is None and self.note is None:
            raise Invalid("say which attestations: those of an IMAGE, of an --attestor, or of a --note")
        if self.attestor is not None and self.note is not None:
            raise Invalid("an attestor has one note: say --attestor or --note, not both")
        if self.image is not None:
            _split(self.image)


class AttestationDesk:
    """Answers what is asked of stored attestations."""

    def __init__(self, ports: AttestorPorts, say: Callable[[str], None]) -> None:
        self._ports = ports
        self._patience = Patience(ports.clock, say)

    async def listed(self, asked: Asked, *, verify: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Yield a record for each attestation, with the verdict of each attestor of its note if that is wanted."""
        digest = await self._digest(asked.image) if asked.image else None
        for note, attestors in (await self._notes(asked)).items():
            judges = attestors or (await self._attestors_of(note) if verify else ())
            async for one in self._stored(note, digest, asked.since):
                record = described(one)
                if verify:
                    record["verdicts"] = [await self._verdict(judge, one) for judge in judges]
                yield record

    async def of_key(self, asked: Asked, key: str) -> tuple[Attestation, ...]:
        """Return the attestations by one key. Raises NotFound when there is none, Invalid when one has other signers.

        *key* is a key id as listed, or the name of a Cloud KMS key version.
        """
        ids = {key, natural_id(key.removeprefix("gcp-kms://"))}
        digest = await self._digest(asked.image) if asked.image else None
        found = [one for note in await self._notes(asked) async for one in self._stored(note, digest, asked.since)]
        chosen = tuple(one for one in found if one.key_id in ids)
        if not chosen:
            others = ", ".join(dict.fromkeys(one.key_id for one in found)) or "nobody"
            raise NotFound(f"no attestation of {asked.image or 'that'} is signed by {key}: it is signed by {others}")
        for one in found:
            if one.key_id not in ids and one.name in {own.name for own in chosen}:
                raise Invalid(
                    f"{one.name} is signed by {one.key_id} as well, and can only be deleted as a whole: give its name"
                )
        return chosen

    async def named(self, names: Iterable[str]) -> tuple[Attestation, ...]:
        """Return the attestations of these names. Raises NotFound, and Invalid for what is no attestation."""
        found: list[Attestation] = []
        for name in dict.fromkeys(map(occurrence_name, names)):
            found += await self._patience.make(partial(self._ports.attestations.get, name))
        return tuple(found)

    async def delete(self, found: Iterable[Attestation]) -> AsyncIterator[Attestation]:
        """Remove attestations and yield each that is gone; gone already is fine.

        Each is removed under the worker's claim, whose result is forgotten with it: the image can be attested again.
        """
        for one in {one.name: one for one in found}.values():
            async with self._ports.claims.lease(claim_key(one.note, one.key_id, one.digest)):
                await self._patience.make(partial(self._ports.attestations.delete, one.name or ""))
            yield one

    async def _digest(self, image: str) -> str:
        """Return the digest of an image; a reference that names it need not be in a registry any more."""
        digest = _split(image)[3]
        return digest or (await self._ports.images.resolve(image)).digest

    async def _notes(self, asked: Asked) -> Mapping[str, tuple[str, ...]]:
        """Return the notes to look at, each with the attestors that are asked about it, if they are known."""
        if asked.note is not None:
            return {note_name(asked.note, self._ports.project): ()}
        if asked.attestor is not None:
            names = [attestor_name(asked.attestor, self._ports.project)]
        else:
            host, path, *_ = _split(asked.image or "")
            names = list(dict.fromkeys(rule.attestor for rule in self._ports.rules.matching(host, path)))
            if not names:
                raise Invalid(f"no signing rule matches {host}/{path}: say --attestor or --note")
        notes: dict[str, tuple[str, ...]] = {}
        for name in names:
            found = await self._patience.make(partial(self._ports.admin.read, name))
            notes[found.note] = (*notes.get(found.note, ()), name)
        return notes

    async def _attestors_of(self, note: str) -> tuple[str, ...]:
        """Return the attestors of the note's project that read it. Raises NotFound when there is none."""
        project = f"projects/{project_of(note)}"
        found = await self._patience.make(lambda: self._ports.admin.list(project))
        names = tuple(one.name for one in found if one.note == note)
        if not names:
            raise NotFound(f"no attestor of {project} has the note {note}: say whom to ask with --attestor")
        return names

    async def _stored(self, note: str, digest: str | None, since: datetime | None) -> AsyncIterator[Attestation]:
        if digest is None:
            async for one in self._patience.follow(partial(self._ports.attestations.of_note, note, since=since)):
                yield one
            return
        for one in await self._patience.make(lambda: self._ports.attestations.find(note, digest)):
            if since is None or one.created_at is None or one.created_at >= since:
                yield one

    async def _verdict(self, attestor: str, one: Attestation) -> dict[str, str]:
        try:
            said = await self._patience.make(
                lambda: self._ports.attestors.validate(attestor, one, timeout=CALL_SECONDS)
            )
        except Invalid as problem:
            # One that is refused as such must not hide the others.
            return {"attestor": attestor, "verdict": "ATTESTATION_NOT_VERIFIABLE", "reason": str(problem)}
        return {"attestor": attestor, "verdict": said.result, "reason": said.reason}


def described(one: Attestation) -> dict[str, Any]:
    """Return an attestation as a record."""
    return {
        "occurrence": one.name,
        "image": one.resource_uri.removeprefix("https://"),
        "key_id": one.key_id,
        "note": one.note,
        "created_at": one.created_at.isoformat(timespec="seconds") if one.created_at else None,
    }


def _split(image: str) -> tuple[str, str, str | None, str | None]:
    try:
        return split_reference(image)
    except ValueError as error:
        raise Invalid(str(error)) from None
