"""All that a worker may ask of the outside world, in our own words; one file per noun.

A worker names a port by type in its signature and gets an adapter, or in a test a fake. Every method may raise the
errors of `workers.failures`, and no others. Times are seconds unless a `timedelta`.
"""

from workers.ports.administration import AttestorAdmin, AttestorRecord, KeyMaker, Note, Notes
from workers.ports.attestations import Attestation, Attestations, Attestor, Attestors, PublicKey, SigningKeys, Verdict
from workers.ports.bus import Claims, Clock, Json, Lease, Progress, Rates
from workers.ports.feeds import Feed, FeedMessage, Feeds
from workers.ports.github import Deliveries, Github
from workers.ports.images import ImageInventory, Images, ResolvedImage, StoredImage
from workers.ports.policies import Policies

__all__ = [
    "Attestation",
    "Attestations",
    "Attestor",
    "AttestorAdmin",
    "AttestorRecord",
    "Attestors",
    "Claims",
    "Clock",
    "Deliveries",
    "Feed",
    "FeedMessage",
    "Feeds",
    "Github",
    "ImageInventory",
    "Images",
    "Json",
    "KeyMaker",
    "Lease",
    "Note",
    "Notes",
    "Policies",
    "Progress",
    "PublicKey",
    "Rates",
    "ResolvedImage",
    "SigningKeys",
    "StoredImage",
    "Verdict",
]
