"""Which adapter a reference goes to, and that none is loaded in vain."""

import subprocess
import sys

import pytest

from tests.fakes.signing_keys import FakeSigningKeys
from workers.adapters.keys.routing import RoutedSigningKeys
from workers.failures import Unavailable
from workers.ports import SigningKeys

KMS = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
LOCAL = "file:///run/keys/ci.pem?algorithm=ML_DSA_65"


class Building:
    """Builds a fake that holds one key, and counts how often."""

    def __init__(self, key: str) -> None:
        self.keys = FakeSigningKeys()
        self.keys.add(key)
        self.built = 0
        self.failures = 0

    async def __call__(self) -> SigningKeys:
        """Build, or fail as often as wanted."""
        if self.failures:
            self.failures -= 1
            raise Unavailable("no credentials yet")
        self.built += 1
        return self.keys


async def test_each_reference_goes_to_its_own_adapter_which_is_built_once() -> None:
    """Only when the first such key is met."""
    kms, local = Building(KMS), Building(LOCAL)
    keys = RoutedSigningKeys(kms, local)

    assert (await keys.public_key(KMS)).id == KMS
    assert (kms.built, local.built) == (1, 0)
    assert await keys.sign(LOCAL, b"payload", timeout=1)
    assert (await keys.public_key(LOCAL)).id == LOCAL
    assert (kms.built, local.built, kms.keys.signed, local.keys.signed) == (1, 1, [], [b"payload"])


async def test_an_adapter_that_could_not_be_built_is_built_the_next_time() -> None:
    """Missing credentials may come."""
    kms = Building(KMS)
    kms.failures = 1
    keys = RoutedSigningKeys(kms, Building(LOCAL))

    with pytest.raises(Unavailable):
        await keys.public_key(KMS)
    assert (await keys.public_key(KMS)).id == KMS


@pytest.mark.parametrize(("reference", "loaded"), [(KMS, "[]"), (LOCAL, "[]")])
def test_no_key_but_an_openpgp_key_loads_openpgp(reference: str, loaded: str) -> None:
    """A worker whose keys are in Cloud KMS, or PEM, needs no library for OpenPGP; one of PEM needs no Google."""
    code = f"""
import asyncio, sys
from workers.app.clouds import Clouds
from workers.failures import SealaneError
from workers.ports import SigningKeys
from workers.settings import Settings

async def main():
    async with Clouds(Settings(google_endpoint="127.0.0.1:1")) as clouds:
        keys = await clouds.port(SigningKeys)
        try:
            await keys.public_key({reference!r})
        except SealaneError:
            pass

asyncio.run(main())
heavy = {{"pysequoia"}} | ({{"google.cloud", "grpc"}} if {reference!r}.startswith("file") else set())
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)

    assert done.stdout.strip() == loaded
