"""Cloud KMS v1, asymmetric signing (https://cloud.google.com/kms/docs/reference/rest/v1).

Served: key rings, keys with purpose ASYMMETRIC_SIGN and software protection, their versions with all states, public
keys and signatures, by every algorithm of Cloud KMS that an attestor accepts: RSA, P-256, P-384 and ML-DSA-65. Left
out: encryption, MAC, decapsulation, import, HSM and external keys, autokey, IAM, locations.
A version is ENABLED when CreateCryptoKey answers (the cloud answers PENDING_GENERATION first for slow algorithms), and
a changed state holds at once (the cloud may take up to a minute to disable). Destruction may be scheduled sooner than
the 24 hours that the cloud demands, so that tests can see its end.
"""

from __future__ import annotations

from workers.local.google.api import Api, Ground
from workers.local.google.kms.keys import Keys
from workers.local.google.kms.rings import Rings
from workers.local.google.kms.signing import Signing
from workers.local.google.kms.versions import Versions
from workers.local.google.table import Source, read

_SERVICE = "/google.cloud.kms.v1.KeyManagementService/"


def build(ground: Ground) -> Api:
    """Return the API on *ground*."""
    versions = Versions(ground.store, ground.threads)
    rooms = (
        Rings(ground.store),
        Keys(ground.store, versions),
        versions,
        Signing(versions, ground.threads),
    )
    handlers = {_SERVICE + name: handler for room in rooms for name, handler in room.handlers().items()}
    source = Source("google.cloud.kms_v1.services.key_management_service", "KeyManagementService")
    return Api("cloudkms", read(source), handlers)
