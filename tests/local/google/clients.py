"""The real client libraries, pointed at the local Google services over gRPC and over REST."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio
from google.cloud.artifactregistry_v1 import ArtifactRegistryAsyncClient, ArtifactRegistryClient
from google.cloud.binaryauthorization_v1 import (
    BinauthzManagementServiceV1AsyncClient,
    BinauthzManagementServiceV1Client,
    SystemPolicyV1AsyncClient,
    SystemPolicyV1Client,
    ValidationHelperV1AsyncClient,
    ValidationHelperV1Client,
)
from google.cloud.binaryauthorization_v1beta1 import (
    BinauthzManagementServiceV1Beta1AsyncClient,
    BinauthzManagementServiceV1Beta1Client,
)
from google.cloud.kms_v1 import KeyManagementServiceAsyncClient, KeyManagementServiceClient
from google.cloud.run_v2 import RevisionsAsyncClient, RevisionsClient, ServicesAsyncClient, ServicesClient
from google.oauth2.credentials import Credentials
from grafeas.grafeas_v1 import GrafeasAsyncClient, GrafeasClient

TOKEN = "local-access-token"
CLIENTS: dict[str, tuple[Any, Any]] = {
    "kms": (KeyManagementServiceAsyncClient, KeyManagementServiceClient),
    "grafeas": (GrafeasAsyncClient, GrafeasClient),
    "artifacts": (ArtifactRegistryAsyncClient, ArtifactRegistryClient),
    "binauthz": (BinauthzManagementServiceV1AsyncClient, BinauthzManagementServiceV1Client),
    "binauthz_beta": (BinauthzManagementServiceV1Beta1AsyncClient, BinauthzManagementServiceV1Beta1Client),
    "revisions": (RevisionsAsyncClient, RevisionsClient),
    "services": (ServicesAsyncClient, ServicesClient),
    "system": (SystemPolicyV1AsyncClient, SystemPolicyV1Client),
    "validation": (ValidationHelperV1AsyncClient, ValidationHelperV1Client),
}


class BearerToken(grpc.aio.UnaryUnaryClientInterceptor):
    """Sends an access token on a channel without TLS, where credentials are not sent."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Add the header."""
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
        metadata.add("authorization", f"Bearer {self._token}")
        return await continuation(client_call_details._replace(metadata=metadata), request)


@dataclass
class Caller:
    """Calls methods of one client library: `await caller.get_note(name=…)`; lists come back whole."""

    client: Any
    threaded: bool

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        """Return the method, awaitable on either transport."""

        async def call(**request: Any) -> Any:
            arguments = {"request": request, "retry": None, "timeout": 30}
            if self.threaded:
                return await asyncio.to_thread(self._whole, method, arguments)
            answer = await getattr(self.client, method)(**arguments)
            return [item async for item in answer] if hasattr(answer, "__aiter__") else answer

        return call

    async def done(self, method: str, **request: Any) -> Any:
        """Call a method that begins an operation and return what the operation ends with."""
        operation = await getattr(self, method)(**request)
        if self.threaded:
            return await asyncio.to_thread(operation.result, timeout=30)
        return await operation.result(timeout=30)

    def _whole(self, method: str, arguments: dict[str, Any]) -> Any:
        answer = getattr(self.client, method)(**arguments)
        return list(answer) if hasattr(answer, "pages") else answer


@dataclass
class Clients:
    """One caller per service."""

    kms: Caller
    grafeas: Caller
    artifacts: Caller
    binauthz: Caller
    binauthz_beta: Caller
    revisions: Caller
    services: Caller
    system: Caller
    validation: Caller


def grpc_clients(channel: grpc.aio.Channel) -> Clients:
    """Return the real asynchronous clients on *channel*."""
    callers = {}
    for name, (asynchronous, _) in CLIENTS.items():
        transport = asynchronous.get_transport_class("grpc_asyncio")(channel=channel)
        callers[name] = Caller(asynchronous(transport=transport), threaded=False)
    return Clients(**callers)


def rest_clients(port: int) -> Clients:
    """Return the real clients on their REST transports."""
    callers = {}
    for name, (_, synchronous) in CLIENTS.items():
        transport = synchronous.get_transport_class("rest")(
            host=f"127.0.0.1:{port}",
            url_scheme="http",
            credentials=Credentials(TOKEN),  # type: ignore[no-untyped-call]  # google-auth has no types
        )
        callers[name] = Caller(synchronous(transport=transport), threaded=True)
    return Clients(**callers)
