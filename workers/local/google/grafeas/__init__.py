"""Container Analysis v1 (https://cloud.google.com/artifact-analysis/docs/reference/rest): notes and occurrences.

Served: all methods of grafeas.v1.Grafeas, for project and location names, with the filters of `filters.py`. Left out:
the scanners (nothing creates vulnerability or discovery occurrences but a caller), Pub/Sub notifications, SBOM export,
summaries, IAM, `returnPartialSuccess`. It is not documented when CreateOccurrence answers ALREADY_EXISTS for an
attestation; users met it when they attested again with the same key. Here it does for identical ones, see
`Faults.conflicts`.
"""

from __future__ import annotations

from workers.local.google.api import Api, Ground
from workers.local.google.grafeas.notes import Notes
from workers.local.google.grafeas.occurrences import Occurrences
from workers.local.google.table import Source, read

_SERVICE = "/grafeas.v1.Grafeas/"


def build(ground: Ground) -> Api:
    """Return the API on *ground*."""
    notes = Notes(ground.store)
    occurrences = Occurrences(ground.store, notes, ground.faults)
    methods = [
        *read(Source("grafeas.grafeas_v1.services.grafeas", "Grafeas")),
        *read(
            Source("google.cloud.devtools.containeranalysis_v1.services.container_analysis", "ContainerAnalysis"),
        ),
    ]
    handlers = {_SERVICE + name: answer for room in (notes, occurrences) for name, answer in room.handlers().items()}
    return Api("containeranalysis", methods, handlers)
