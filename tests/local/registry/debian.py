"""The real `docker-registry` as a process on a free port."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CREDENTIALS = ("robot", "canary-pw-1f7c")
_HTPASSWD = "robot:$2y$04$abcdefghijklmnopqrstuuBVEaENiav/nvCQVNNhZAq28vYrEeemG\n"
"""The credentials with bcrypt at its lowest cost: the only form that docker-registry reads."""

_CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:0", secret: not-a-secret}}
"""
_AUTH = """\
auth:
  htpasswd: {{realm: test, path: {folder}/htpasswd}}
"""


class DockerRegistry:
    """A running docker-registry."""

    def __init__(self, folder: Path, *, guarded: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "htpasswd").write_text(_HTPASSWD)
        config = folder / "config.yml"
        config.write_text((_CONFIG + (_AUTH if guarded else "")).format(folder=folder))
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.host = self._listening()

    def stop(self) -> None:
        """End it; ended already is fine."""
        self._process.kill()
        self._process.wait()

    def _listening(self) -> str:
        assert self._process.stderr is not None
        seen = []
        for line in self._process.stderr:
            seen.append(line)
            if "listening on " in line:
                threading.Thread(target=self._drain, daemon=True).start()
                return line.partition("listening on ")[2].split('"')[0].strip()
        raise AssertionError(f"docker-registry did not start: {''.join(seen)}")

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as log:
            for _ in log:
                pass


@contextmanager
def docker_registry(folder: Path, *, guarded: bool = False) -> Iterator[DockerRegistry]:
    """Run one below the folder while the block runs. `guarded`: ask for `CREDENTIALS` with Basic authentication."""
    registry = DockerRegistry(folder, guarded=guarded)
    try:
        yield registry
    finally:
        registry.stop()
