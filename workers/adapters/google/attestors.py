"""Attestors on Binary Authorization: https://cloud.google.com/binary-authorization/docs/reference/rpc."""

import time
from collections.abc import Callable
from typing import Any

from async_lru import alru_cache

from workers.adapters.google.connection import BINAUTHZ, VALIDATION, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.adapters.google.public_keys import read_key
from workers.failures import PermanentError
from workers.ports import Attestation, Attestor, Verdict

READ_SECONDS = 10.0
CACHE_SECONDS = 60.0
"""The quota is 100 reads a minute for all of a project, so an attestor is read once a minute, however many ask."""
REFUSAL_SECONDS = 5.0
"""What is missing or denied is asked for again soon, but not once an event: that would use the quota up for all."""


class BinauthzAttestors:
    """Binary Authorization's attestors, named `projects/P/attestors/A`."""

    def __init__(
        self,
        google: GoogleConnection,
        *,
        cache_seconds: float = CACHE_SECONDS,
        refusal_seconds: float = REFUSAL_SECONDS,
    ) -> None:
        self._google = google
        self._refusal_seconds = refusal_seconds
        self._refusals: dict[str, tuple[float, PermanentError]] = {}
        self._cached: Callable[[str], Any] = alru_cache(maxsize=256, ttl=cache_seconds)(self._read)

    async def get(self, name: str) -> Attestor:
        """Return the attestor; who asks while it is being read waits for that answer."""
        until, refusal = self._refusals.get(name, (0.0, None))
        if refusal is not None and time.monotonic() < until:
            raise type(refusal)(str(refusal))
        try:
            found: Attestor = await self._cached(name)
        except PermanentError as problem:
            self._refusals[name] = (time.monotonic() + self._refusal_seconds, problem)
            raise
        self._refusals.pop(name, None)
        return found

    async def validate(self, attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        """Ask ValidateAttestationOccurrence."""
        answer = await self._google.call(
            VALIDATION,
            "validate_attestation_occurrence",
            {
                "attestor": attestor,
                "attestation": {
                    "serialized_payload": attestation.payload,
                    "signatures": [{"public_key_id": attestation.key_id, "signature": attestation.signature}],
                },
                "occurrence_note": attestation.note,
                "occurrence_resource_uri": attestation.resource_uri,
            },
            errand=Errand(
                service=VALIDATION.title,
                doing="validate an attestation for",
                resource=attestor,
                permission="binaryauthorization.attestors.verifyImageAttested",
                role="roles/binaryauthorization.attestorsVerifier",
                remedy=f"look at the attestation of {attestation.resource_uri}",
            ),
            timeout=timeout,
        )
        if answer.result.name == "VERIFIED":
            return Verdict("VERIFIED")
        return Verdict("ATTESTATION_NOT_VERIFIABLE", answer.denial_reason or "Binary Authorization gives no reason")

    async def _read(self, name: str) -> Attestor:
        await self._google.prepare(BINAUTHZ, VALIDATION)
        answer = await self._google.call(
            BINAUTHZ,
            "get_attestor",
            {"name": name},
            errand=Errand(
                service=BINAUTHZ.title,
                doing="read the attestor",
                resource=name,
                permission="binaryauthorization.attestors.get",
                role="roles/binaryauthorization.attestorsViewer",
                remedy="write projects/PROJECT/attestors/ATTESTOR",
            ),
            timeout=READ_SECONDS,
        )
        note = answer.user_owned_grafeas_note
        return Attestor(name=answer.name, note=note.note_reference, keys=tuple(map(read_key, note.public_keys)))
