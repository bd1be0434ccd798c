"""Deletes what the old keys attested, where the new keys have attested it as well and nobody else needs it."""

from workers.ports import Attestations, AttestorAdmin, AttestorRecord, Progress
from workers.rekey.ledger import Ledger
from workers.rekey.rules import Change


async def prune(
    record: AttestorRecord, change: Change, admin: AttestorAdmin, attestations: Attestations, progress: Progress
) -> int:
    """Delete attestations by the old keys, and return how many.

    Nothing is deleted while another attestor of the project reads the same note with such a key. What is without an
    attestation by a new key stays, and so does an occurrence that holds another key's signature too.
    """
    project = record.name.partition("/attestors/")[0]
    for other in await admin.list(project):
        if other.name != record.name and other.note == record.note and change.old & {key.id for key in other.keys}:
            progress.log(f"nothing is deleted: {other.name} reads the same note, and lists an old key")
            return 0
    ledger = Ledger(change, (), None, ())
    async for attestation in attestations.of_note(record.note):
        ledger.add(attestation)
    deleted = 0
    for _, digest in ledger.made_since(0.0):
        found = await attestations.find(record.note, digest)
        spared = {one.name for one in found if one.key_id not in change.old}
        for name in sorted({one.name for one in found if one.name and one.key_id in change.old} - spared):
            await attestations.delete(name)
            deleted += 1
    return deleted
