"""Sets attestors up as they are wanted: the note, the attestor and its keys, each only where it is not so already."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.app.attestor_keys import known_key
from workers.app.clouds import Clouds
from workers.app.environment import load_settings
from workers.app.images import UnsharedClaims, shared_claims
from workers.attestors import amend
from workers.attestors.names import project_of
from workers.attestors.patience import Patience
from workers.attestors.planning import Change, KnownKey, planned
from workers.attestors.wanted import WantedAttestor, WantedKey
from workers.failures import Invalid, NotFound, Unavailable
from workers.ports import (
    Attestations,
    AttestorAdmin,
    AttestorRecord,
    Attestors,
    Claims,
    Clock,
    Images,
    Note,
    Notes,
    Policies,
    SigningKeys,
)
from workers.signing import SigningRules

CALL_SECONDS = 10.0
AUTHORITY = "ATTESTATION"
"""The kind of a note that attestations hang on."""


@dataclass(frozen=True, slots=True)
class AttestorPorts:
    """What the commands about attestors and attestations ask of the outside."""

    admin: AttestorAdmin
    notes: Notes
    keys: SigningKeys
    attestors: Attestors
    attestations: Attestations
    policies: Policies
    images: Images
    clock: Clock
    rules: SigningRules
    project: str
    """Id of the project in which this installation works."""
    claims: Claims
    """What the worker `attest` remembers."""
    warning: str | None = None
    """Why `claims` are not the worker's own, if they are not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attestor."""

    attestor: str
    changes: tuple[Change, ...]
    advice: str = ""
    """What is left to do by hand."""

    @property
    def has_changed(self) -> bool:
        """Whether anything was, or would be, different from before."""
        return any(change.did not in {"as wanted", "kept"} for change in self.changes)


@asynccontextmanager
async def attestor_ports(data: Path | None = None, *, claiming: bool = False) -> AsyncIterator[AttestorPorts]:
    """Open the ports; with `claiming`, the claims are the workers' own where the bus can be reached."""
    settings = load_settings(data)
    async with AsyncExitStack() as stack:
        clouds = await stack.enter_async_context(Clouds(settings))
        claims: Claims = UnsharedClaims()
        warning = None
        if claiming:
            claims, _, warning = await shared_claims(settings, stack)
        yield AttestorPorts(
            admin=await clouds.port(AttestorAdmin),
            notes=await clouds.port(Notes),
            keys=await clouds.port(SigningKeys),
            attestors=await clouds.port(Attestors),
            attestations=await clouds.port(Attestations),
            policies=await clouds.port(Policies),
            images=await clouds.port(Images),
            clock=await clouds.port(Clock),
            rules=settings.signing_rules,
            project=settings.project,
            claims=claims,
            warning=warning,
        )


@dataclass(frozen=True, slots=True)
class Setup:
    """Makes attestors as they are wanted; may be repeated at any time."""

    ports: AttestorPorts
    say: Callable[[str], None]
    prune: bool = False
    dry_run: bool = False

    async def ensure(self, wanted: WantedAttestor) -> Outcome:
        """Make what is missing and change what differs. Raises Invalid, Denied, NotFound and Unavailable."""
        where = wanted.where or "--key"
        keys = [await self._key(key, wanted, where) for key in wanted.keys]
        found = await self._found(wanted.name)
        note = wanted.usual_note if found is None else wanted.note or found.note
        if found is not None:
            _require_note(found, note)
        start = found or AttestorRecord(wanted.name, note)
        record, changes = planned(start, keys, description=wanted.description, prune=self.prune)
        noted = await self._note(note, wanted)
        did = "as wanted" if found is not None else "created"
        made = [noted, Change("attestor", wanted.name, did)]
        if not self.dry_run:
            record, changes = await self._carried_out(wanted, keys, record, is_new=found is None)
        return Outcome(wanted.name, (*made, *changes), _advice(record, is_new=found is None))

    async def _key(self, key: WantedKey, wanted: WantedAttestor, where: str) -> KnownKey:
        return await self._patience.make(lambda: known_key(key, self.ports.keys, wanted.folder, where))

    async def _found(self, name: str) -> AttestorRecord | None:
        try:
            return await self._patience.make(lambda: self.ports.admin.read(name))
        except NotFound:
            return None

    async def _note(self, name: str, wanted: WantedAttestor) -> Change:
        """Make the note if it is missing. Raises Invalid when it is there for something else."""
        try:
            note = await self._patience.make(lambda: self.ports.notes.get(name))
        except NotFound:
            note = None
        if note is None and not self.dry_run:
            fresh = Note(name, AUTHORITY, wanted.hint or wanted.name.rpartition("/")[2])
            try:
                await self._patience.make(lambda: self.ports.notes.create(fresh, timeout=CALL_SECONDS))
            except Unavailable:
                # Somebody made it at the same time, or the answer was lost: then it is there now.
                note = await self._patience.make(lambda: self.ports.notes.get(name))
        if note is not None and note.kind != AUTHORITY:
            raise Invalid(
                f"{name} is a note of kind {note.kind}, and attestations hang on one of kind {AUTHORITY}: choose"
                " another with --note, or in the file"
            )
        return Change("note", name, "created" if note is None else "as wanted")

    async def _carried_out(
        self, wanted: WantedAttestor, keys: list[KnownKey], record: AttestorRecord, *, is_new: bool
    ) -> tuple[AttestorRecord, list[Change]]:
        """Make or update the attestor, and return it with the changes that were made in the end."""
        admin, changes = self.ports.admin, list[Change]()

        def change(found: AttestorRecord) -> AttestorRecord:
            _require_note(found, record.note)
            planned_record, changes[:] = planned(found, keys, description=wanted.description, prune=self.prune)
            return planned_record

        if is_new:
            _, changes = planned(
                AttestorRecord(wanted.name, record.note), keys, description=wanted.description, prune=self.prune
            )
            try:
                made = await self._patience.make(lambda: admin.create(record, timeout=CALL_SECONDS))
            except Unavailable as failure:
                if await self._found(wanted.name) is None:
                    raise failure from None
            else:
                return made, changes
        updated = await self._patience.make(lambda: amend(admin, self.ports.clock, wanted.name, change))
        return updated, changes

    @property
    def _patience(self) -> Patience:
        return Patience(self.ports.clock, self.say)


def _require_note(found: AttestorRecord, note: str) -> None:
    if found.note != note:
        raise Invalid(
            f"{found.name} has the note {found.note}, and the note of an attestor cannot change: leave {note} out, or"
            " make an attestor of another name"
        )


def _advice(record: AttestorRecord, *, is_new: bool) -> str:
    """Say what Binary Authorization itself must be allowed where the note is in another project."""
    if not is_new or project_of(record.note) == project_of(record.name):
        return ""
    reader = record.service_account or "the Binary Authorization service agent of the attestor's project"
    role = "roles/containeranalysis.notes.occurrences.viewer"
    return f"let {reader} read the attestations: grant it {role} on {record.note}"
