"""How Google is reached: over TLS with application default credentials, or a plain-text endpoint with a token.

The client libraries take about a second of CPU to import, so a client is imported and built, off the event loop, when
it is first used; `prepare` does it beforehand.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from workers.adapters.google.errors import Errand, failure
from workers.adapters.secrets import SecretReader, read_secret
from workers.failures import Denied, Unavailable

BUILD_SECONDS = 60.0
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service of Google and where its client is."""

    title: str
    host: str
    module: str
    name: str
    """Of the classes: NAMEAsyncClient, NAMEGrpcAsyncIOTransport."""


KMS = Service(
    "Cloud KMS",
    "cloudkms.googleapis.com",
    "google.cloud.kms_v1.services.key_management_service",
    "KeyManagementService",
)
BINAUTHZ = Service(
    "Binary Authorization",
    "binaryauthorization.googleapis.com",
    "google.cloud.binaryauthorization_v1.services.binauthz_management_service_v1",
    "BinauthzManagementServiceV1",
)
VALIDATION = Service(
    "Binary Authorization",
    "binaryauthorization.googleapis.com",
    "google.cloud.binaryauthorization_v1.services.validation_helper_v1",
    "ValidationHelperV1",
)
SYSTEM_POLICY = Service(
    "Binary Authorization",
    "binaryauthorization.googleapis.com",
    "google.cloud.binaryauthorization_v1.services.system_policy_v1",
    "SystemPolicyV1",
)
GRAFEAS = Service(
    "Artifact Analysis",
    "containeranalysis.googleapis.com",
    "grafeas.grafeas_v1.services.grafeas",
    "Grafeas",
)
ARTIFACTS = Service(
    "Artifact Registry",
    "artifactregistry.googleapis.com",
    "google.cloud.artifactregistry_v1.services.artifact_registry",
    "ArtifactRegistry",
)
SERVICES = (KMS, BINAUTHZ, VALIDATION, GRAFEAS)
"""Those that workers use: they are built before the first event needs them."""


class GoogleConnection:
    """Builds the clients and makes the calls: once each, with a deadline, failing in our words.

    *endpoint* is HOST:PORT of a plain-text endpoint for all services (the local world), *token* a secret reference to
    the bearer token for it. Without an endpoint it is Google's own hosts, and the process's own credentials.
    """

    def __init__(
        self, endpoint: str | None = None, token: str | None = None, *, secrets: SecretReader = read_secret
    ) -> None:
        self._endpoint = endpoint
        self._token = token
        self._secrets = secrets
        self._metadata: tuple[tuple[str, str], ...] = ()
        self._clients: dict[Service, Any] = {}
        self._building = asyncio.Lock()
        self._channel: Any = None
        self._credentials: Any = None

    async def prepare(self, *services: Service) -> None:
        """Import and build the clients now: reads do so first, since it may take longer than any one call should.

        Raises Denied, NotFound or Invalid when there are no credentials, Unavailable when it takes for ever.
        """
        try:
            async with asyncio.timeout(BUILD_SECONDS):
                for service in services or SERVICES:
                    await self._client(service)
        except TimeoutError as error:
            raise Unavailable(f"Google's client libraries were not ready within {BUILD_SECONDS:g} s") from error

    async def call(
        self, service: Service, method: str, request: Mapping[str, Any], *, errand: Errand, timeout: float
    ) -> Any:
        """Make one call, never repeated, and return the answer. Raises the failures of `errors.FAILURES`."""
        try:
            async with asyncio.timeout(timeout):
                client = await self._client(service)
                from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415 - loaded with the client

                try:
                    return await getattr(client, method)(
                        request=dict(request), retry=None, timeout=timeout, metadata=self._metadata
                    )
                except GoogleAPICallError as error:
                    status = error.grpc_status_code.name if error.grpc_status_code else "UNKNOWN"
                    raise failure(errand, status, str(error.message), error.details) from error
        except TimeoutError as error:
            raise failure(errand, "DEADLINE_EXCEEDED") from error

    async def close(self) -> None:
        """Close the channels."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.transport.close()
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _client(self, service: Service) -> Any:
        if service not in self._clients:
            async with self._building:
                if service not in self._clients:
                    self._clients[service] = await self._built(service)
        return self._clients[service]

    async def _built(self, service: Service) -> Any:
        package = await asyncio.to_thread(import_module, service.module)
        transports = await asyncio.to_thread(import_module, f"{service.module}.transports.grpc_asyncio")
        transport = getattr(transports, f"{service.name}GrpcAsyncIOTransport")
        if self._endpoint is not None:
            built = transport(channel=await self._plain_channel(self._endpoint))
        else:
            if self._credentials is None:
                self._credentials = await asyncio.to_thread(default_credentials)
            built = transport(host=service.host, credentials=self._credentials)
        return getattr(package, f"{service.name}AsyncClient")(transport=built)

    async def _plain_channel(self, endpoint: str) -> Any:
        if self._channel is None:
            import grpc.aio  # noqa: PLC0415 - loaded with the client

            if self._token is not None:
                self._metadata = (("authorization", f"Bearer {await self._secrets(self._token)}"),)
            self._channel = grpc.aio.insecure_channel(endpoint)
        return self._channel


def default_credentials() -> Any:
    """Return the credentials of this process. Raises Denied, with what to do, when it has none."""
    import google.auth  # noqa: PLC0415 - loaded with the client
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415 - loaded with the client

    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except DefaultCredentialsError as error:
        raise Denied(
            "this process has no Google credentials: give the workload a service account, run `gcloud auth"
            " application-default login`, or name the local world with SEALANE_GOOGLE_ENDPOINT"
        ) from error
    return credentials
