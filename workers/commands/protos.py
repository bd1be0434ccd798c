"""Makes the Python code of the door's gRPC services out of proto/: `make protos`."""

import re
from importlib.resources import files
from pathlib import Path

PROTO, GENERATED = Path("proto"), Path("workers/gateway/pb")
_HEADER = '"""Made out of proto/ by `make protos`: change it there."""\n'
_OURS = re.compile(r"^from (sealane|io)\.(\S+) import", re.MULTILINE)


def generate(proto: Path, target: Path) -> None:
    """Write the messages, their types and the stubs of every .proto file. Raises RuntimeError when one is wrong."""
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(proto)) for path in proto.rglob("*.proto"))
    known = str(files("grpc_tools") / "_proto")
    outputs = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    if protoc.main(["protoc", f"-I{proto}", f"-I{known}", *outputs, *sources]):
        raise RuntimeError(f"the .proto files below {proto} could not be read: what is wrong is said above")
    for path in target.rglob("*_pb2*.py*"):
        # protoc imports by the path below its output, which is no package of anybody's.
        text = path.read_text(encoding="utf-8")
        path.write_text(_OURS.sub(r"from workers.gateway.pb.\1.\2 import", text), encoding="utf-8")
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir() and path.name != "__pycache__")):
        (folder / "__init__.py").write_text(_HEADER, encoding="utf-8")


def written(folder: Path) -> dict[str, str]:
    """Return what was generated below a folder: path → text."""
    found = (path for path in folder.rglob("*.py*") if path.suffix in {".py", ".pyi"})
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


if __name__ == "__main__":
    from shutil import rmtree

    rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    generate(PROTO, GENERATED)
