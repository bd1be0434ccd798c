"""What the settings say of TLS over gRPC."""

from pathlib import Path

import pytest

from workers.app.door import certificates_of
from workers.failures import Invalid
from workers.settings import Settings

CERTIFICATE = {"grpc_certificate": Path("/run/grpc/tls.crt")}
KEY = {"grpc_key": "file:///run/grpc/tls.key"}
CLIENT_CA = {"grpc_client_ca": Path("/run/grpc/ca.crt")}


def test_certificate_and_key_come_together() -> None:
    """Without both there is no TLS, with both there is; the clients' root is more than that."""
    assert certificates_of(Settings()) is None
    assert certificates_of(Settings.model_validate(CERTIFICATE | KEY)) is not None
    assert certificates_of(Settings.model_validate(CERTIFICATE | KEY | CLIENT_CA)) is not None


@pytest.mark.parametrize("half", [CERTIFICATE, KEY, CLIENT_CA, CERTIFICATE | CLIENT_CA])
def test_half_of_it_is_no_plain_text(half: dict[str, object]) -> None:
    """Who named one meant TLS: the door does not open without it."""
    with pytest.raises(Invalid, match="SEALANE_GRPC_CERTIFICATE and SEALANE_GRPC_KEY"):
        certificates_of(Settings.model_validate(half))
