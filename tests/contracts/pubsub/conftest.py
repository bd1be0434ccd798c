"""One suite on two services: the local room, and Google's emulator, which takes seconds to start and is shared."""

from collections.abc import Iterator

import pytest

from tests.contracts.pubsub.services import Bearer, Service, clients, emulator, local


@pytest.fixture(scope="session")
def local_pubsub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give our room."""
    data = tmp_path_factory.mktemp("pubsub")
    with local(data) as services, clients(f"127.0.0.1:{services.grpc_port}", Bearer()) as service:
        yield service


@pytest.fixture(scope="session")
def google_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give Google's emulator."""
    with emulator(tmp_path_factory.mktemp("emulator")) as running, clients(running.address) as service:
        yield service


@pytest.fixture(params=["local_pubsub", pytest.param("google_emulator", marks=pytest.mark.gcloud)])
def service(request: pytest.FixtureRequest) -> Service:
    """Give each service in turn."""
    found: Service = request.getfixturevalue(request.param)
    return found
