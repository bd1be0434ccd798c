"""The code of the gRPC services is generated, and fresh."""

from pathlib import Path

from tests.house.tree import ROOT
from workers.commands.protos import GENERATED, PROTO, generate, written


def test_generated_services_are_fresh(tmp_path: Path) -> None:
    """What is checked in is what the .proto files say now."""
    generate(ROOT / PROTO, tmp_path)

    assert written(tmp_path) == written(ROOT / GENERATED), "run: make protos"
