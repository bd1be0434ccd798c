"""rekey: replaces the signing key of an attestor while everything that it admits stays admitted.

Law of this room: `worker.py` consumes `attestor.rotate`, asks for attestations and says when the attestor is rotated;
`rotation.py` takes the steps, all repeatable; `proof.py` asks what is accepted; `ledger.py` counts images
in a few bytes each; `journal.py` is what one look tells the next; `rules.py` decides without asking anybody. It signs
nothing: `attest` does.
"""

from workers.card import Card

CARD = Card(
    name="rekey",
    summary="Replaces an attestor's signing key: lists the new one, has images attested anew, removes the old one.",
    concurrency=4,  # each lists a whole note
)
