"""attest: signs what was pushed, so that Binary Authorization admits it.

Law of this room: `worker.py` consumes `image.pushed` and `attestation.requested` and emits `image.attested`;
`targets.py` decides which digests of an image are signed by which rules, `signer.py` has them signed, few at a time,
`resigning.py` signs anew what is admitted already; `placement.py` puts one attestation in its place, exactly once;
`keys.py` says which key signs; `rules.py` and `backlog.py` decide without asking anybody; `verification.py` asks what
would be admitted, and changes nothing. All know ports, never Google.
"""

from workers.card import Card

CARD = Card(
    name="attest",
    summary="Resolves a pushed image in its registry, signs the digest, validates and stores the attestation.",
    claims=True,
    concurrency=32,
)
