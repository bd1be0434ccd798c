"""The port `Images` on real registries, by the OCI distribution protocol over aiohttp."""

from workers.adapters.registry.images import OciImages

__all__ = ["OciImages"]
