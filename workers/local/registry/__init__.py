"""A registry of container images, as in the OCI Distribution Specification 1.1, on local files.

Law of this room: it speaks the protocol of the specification
(https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md) and the token protocol of the Docker registry
(https://distribution.github.io/distribution/spec/auth/token/), well enough for skopeo, syft and our own adapter.
It is a compatibility harness, not the authority: the suite in `tests/local/registry` runs on it and on the real
`docker-registry`.

Left out: TLS, digests other than SHA-256, warnings, the OAuth2 POST form of the token endpoint, the catalogue of
repositories, and garbage collection: a deleted blob or manifest is unlinked from its repository, its bytes stay.
"""

from workers.local.registry.contents import Announce
from workers.local.registry.faults import Faults
from workers.local.registry.layout import Image, build_image, build_index, write_layout
from workers.local.registry.push import push
from workers.local.registry.server import Registry

__all__ = ["Announce", "Faults", "Image", "Registry", "build_image", "build_index", "push", "write_layout"]
