"""The clouds behind the ports: one adapter per port type, built when a worker of this process first asks for it."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from schemas.envelope import Envelope
from workers.adapters.clock import SystemClock
from workers.adapters.secrets import read_secret
from workers.bridge.mapping import Mappings
from workers.bus.wiring import Wiring
from workers.failures import Invalid, SealaneError
from workers.github_rules import GithubSettings
from workers.ports import (
    Attestations,
    AttestorAdmin,
    Attestors,
    Claims,
    Clock,
    Deliveries,
    Feeds,
    Github,
    ImageInventory,
    Images,
    KeyMaker,
    Notes,
    Policies,
    Progress,
    Rates,
    SigningKeys,
)
from workers.rotation import RotationPace
from workers.settings import Settings
from workers.signing import SigningRules

log = logging.getLogger(__name__)
FROM_THE_BUS = frozenset({Progress, Claims, Rates, Envelope})
"""What the bus itself gives, one per worker or per message."""


class Clouds:
    """The adapters of one process, shared by its workers. Use as an async context manager: it closes them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._built: dict[type, Any] = {
            Clock: SystemClock(),
            GithubSettings: settings.github,
            RotationPace: settings.rotation,
            SigningRules: settings.signing_rules,
        }
        self._builders: dict[type, Callable[[], Awaitable[Any]]] = {
            Attestations: self._attestations,
            AttestorAdmin: self._attestor_admin,
            KeyMaker: self._key_maker,
            Attestors: self._attestors,
            Deliveries: self._deliveries,
            Github: self._github,
            ImageInventory: self._image_inventory,
            Feeds: self._feeds,
            Images: self._images,
            Mappings: self._mappings,
            Notes: self._notes,
            Policies: self._policies,
            SigningKeys: self._signing_keys,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ports_for(self, wiring: Wiring) -> Mapping[type, Any]:
        """Return an adapter for each port that the worker asks for, less those of the bus. Raises Invalid."""
        return {port: await self.port(port) for port in wiring.asked if port not in FROM_THE_BUS}

    async def port(self, port: type) -> Any:
        """Return the adapter of a port. Raises Invalid when there is none, or a setting that it needs is missing."""
        if port not in self._built:
            build = self._builders.get(port)
            if build is None:
                raise Invalid(f"no adapter gives the port {port.__name__}: add one in workers/app/clouds.py")
            self._built[port] = await build()
        return self._built[port]

    async def warm_up(self) -> None:
        """Build Google's clients, if a worker of this process uses them: that takes about a second of CPU.

        After the worker said that it is ready, so that it starts quickly and the first image need not wait. A failure
        is left to the first call, where it is judged.
        """
        from workers.adapters.google.connection import GoogleConnection  # noqa: PLC0415 - only where a port needs it

        google = self._built.get(GoogleConnection)
        if google is not None:
            try:
                await google.prepare()
            except SealaneError as error:
                log.warning("Google's clients are not ready: %s", error)

    async def _google(self) -> Any:
        """Return the connection that all Google adapters share."""
        from workers.adapters.google.connection import GoogleConnection  # noqa: PLC0415 - only where a port needs it

        if GoogleConnection not in self._built:
            google = GoogleConnection(self._settings.google_endpoint, self._settings.google_token)
            self._stack.push_async_callback(google.close)
            self._built[GoogleConnection] = google
        return self._built[GoogleConnection]

    async def _images(self) -> Any:
        from workers.adapters.registry import OciImages  # noqa: PLC0415 - only where a port needs it

        for access in self._settings.registries:
            if access.password is not None:
                # One that cannot be read is said now, not with the first image.
                await read_secret(access.password)
        token = None
        if any(access.google for access in self._settings.registries):
            from workers.adapters.registry.google_token import GoogleAccessToken  # noqa: PLC0415 - only where needed

            token = GoogleAccessToken()
        images = OciImages(self._settings.registries, google_token=token)
        self._stack.push_async_callback(images.close)
        return images

    async def _feeds(self) -> Any:
        from workers.adapters.google.pubsub import PubSubFeed  # noqa: PLC0415 - only where a port needs it
        from workers.adapters.google.pubsub_connection import PubSubConnection  # noqa: PLC0415 - only where needed

        connection = PubSubConnection(self._settings.google_endpoint, self._settings.google_token)
        listed = self._settings.feeds.subscriptions
        return Feeds(PubSubFeed(one.subscription, connection, most=one.most, lease=one.lease) for one in listed)

    async def _mappings(self) -> Any:
        return Mappings(self._settings.feeds)

    async def _signing_keys(self) -> Any:
        from workers.adapters.keys.routing import RoutedSigningKeys  # noqa: PLC0415 - only where a port needs it

        return RoutedSigningKeys(kms=self._kms_keys, local=_local_keys)

    async def _kms_keys(self) -> Any:
        from workers.adapters.google.kms import KmsSigningKeys  # noqa: PLC0415 - only where a key is there

        return KmsSigningKeys(await self._google())

    async def _attestors(self) -> Any:
        from workers.adapters.google.attestors import BinauthzAttestors  # noqa: PLC0415 - only where a port needs it

        return BinauthzAttestors(await self._google(), cache_seconds=self._settings.attestor_age.total_seconds())

    async def _policies(self) -> Any:
        from workers.adapters.google.policies import BinauthzPolicies  # noqa: PLC0415 - only where a port needs it

        return BinauthzPolicies(await self._google())

    async def _attestations(self) -> Any:
        from workers.adapters.google.attestations import GrafeasAttestations  # noqa: PLC0415 - only where needed

        return GrafeasAttestations(await self._google())

    async def _key_maker(self) -> Any:
        from workers.adapters.google.kms_keys import KmsKeyMaker  # noqa: PLC0415 - only where needed

        return KmsKeyMaker(await self._google())

    async def _attestor_admin(self) -> Any:
        from workers.adapters.google.attestor_admin import BinauthzAttestorAdmin  # noqa: PLC0415 - only where needed

        return BinauthzAttestorAdmin(await self._google())

    async def _image_inventory(self) -> Any:
        from workers.adapters.google.artifact_registry import ArtifactRegistry  # noqa: PLC0415 - only where needed

        return ArtifactRegistry(await self._google())

    async def _github(self) -> Any:
        from workers.adapters.github import GithubRepositories  # noqa: PLC0415 - only where a port needs it

        return GithubRepositories(*await self._github_app())

    async def _deliveries(self) -> Any:
        from workers.adapters.github import AppDeliveries  # noqa: PLC0415 - only where a port needs it

        return AppDeliveries(*await self._github_app())

    async def _github_app(self) -> tuple[Any, Any]:
        """Return the client and the App's credentials that all GitHub adapters share."""
        from workers.adapters.github import AppCredentials, GithubClient  # noqa: PLC0415 - only where a port needs it

        if GithubClient not in self._built:
            settings = self._settings.github
            client = GithubClient(settings.api)
            self._stack.push_async_callback(client.close)
            self._built[GithubClient] = client
            self._built[AppCredentials] = AppCredentials(settings, client)
        return self._built[GithubClient], self._built[AppCredentials]

    async def _notes(self) -> Any:
        from workers.adapters.google.notes import GrafeasNotes  # noqa: PLC0415 - only where a port needs it

        return GrafeasNotes(await self._google())


async def _local_keys() -> Any:
    from workers.adapters.keys.local import LocalSigningKeys  # noqa: PLC0415 - only where a key is local

    return LocalSigningKeys()
