"""The WWW-Authenticate header is read as servers write it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.adapters.registry.challenge import read_challenge


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        ('Bearer realm="https://a/b?c=1,2",service="s"', "bearer", {"realm": "https://a/b?c=1,2", "service": "s"}),
        ('Basic realm="x", Bearer realm="y"', "bearer", {"realm": "y"}),
        ("bearer realm=y,service=z", "bearer", {"realm": "y", "service": "z"}),
        ('BASIC realm="Basic, or so"', "basic", {"realm": "Basic, or so"}),
        ("Basic", "basic", {}),
    ],
)
def test_reads_a_challenge(header: str, scheme: str, parameters: dict[str, str]) -> None:
    """Schemes and parameters are read in any case, quoted or not, Bearer before Basic."""
    found = read_challenge(header)

    assert found is not None
    assert (found.scheme, dict(found.parameters)) == (scheme, parameters)


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x", "Bearerish realm=x"])
def test_reads_no_challenge_that_it_cannot_answer(header: str) -> None:
    """Other schemes are none of ours."""
    assert read_challenge(header) is None


@settings(deadline=None)
@given(header=st.text() | st.text().map("Bearer {}".format))
def test_reads_noise_without_an_accident(header: str) -> None:
    """Whatever a registry sends as a challenge, it is one or none."""
    found = read_challenge(header)

    assert found is None or found.scheme in {"basic", "bearer"}
