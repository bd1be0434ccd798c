"""Logs: JSON for machines, sentences for people, no secret in either."""

import json
import logging

import nkeys
import pytest

from workers.app.logs import JsonFormatter, PeopleFormatter, configure_logs, worker_name
from workers.redaction import HIDDEN, conceal, redact

CANARY = "canary-7f3e-never-shown"
SEED = nkeys.encode_seed(b"s" * 32, nkeys.PREFIX_BYTE_USER).decode()


def record(message: str, **extra: object) -> logging.LogRecord:
    """Return a log record as a worker would write it."""
    made = logging.LogRecord("workers.echo", logging.WARNING, __file__, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def test_json_line_names_worker_run_and_event() -> None:
    """A line can be searched by worker, run and event id."""
    worker_name.set("echo")
    line = json.loads(JsonFormatter().format(record("heard", run="r-1", event="e-1")))

    assert (line["worker"], line["run"], line["event"]) == ("echo", "r-1", "e-1")
    assert (line["level"], line["message"]) == ("WARNING", "heard")
    assert line["time"].endswith("+00:00")


@pytest.mark.parametrize(("level", "heard"), [("INFO", False), ("DEBUG", True)])
def test_ended_leases_of_pubsub_fill_no_log(level: str, heard: bool, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001 - a case
    """Google's client warns of each with a stack; whoever debugs hears it."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logs(level, json_lines=True)
        puller = "google.cloud.pubsub_v1.subscriber._protocol.streaming_pull_manager"
        logging.getLogger(puller).warning("AcknowledgeError when lease-modacking a message.")
        logging.getLogger(puller).error("a thread ended")
    finally:
        logging.getLogger().handlers, level_before = before
        logging.getLogger().setLevel(level_before)

    said = capsys.readouterr().err
    assert ("AcknowledgeError" in said) is heard
    assert "a thread ended" in said


def test_line_breaks_stay_inside_their_line() -> None:
    """A message with line breaks is still one line, so that nobody can forge a second one."""
    assert "\n" not in JsonFormatter().format(record('one\n{"level": "INFO", "message": "forged"}'))


@pytest.mark.parametrize(
    "secret",
    [
        SEED,
        "Bearer abc.def-ghi_jkl",
        "Basic dXNlcjpwYXNzd29yZA==",
        "ya29.a0AfH6SMBx-longer",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "ghs_123456_" + "eyJhbGciOiJIUzI1NiJ9." + "abc-def_" * 60 + ".sig-nature_" * 3,
        "nats://user:hunter2hunter2@bus.example.com",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln",
    ],
)
def test_what_looks_like_a_secret_is_concealed(secret: str) -> None:
    """Seeds, tokens, passwords in URLs and private keys never reach a log, in either form."""
    core = secret.rsplit(maxsplit=1)[-1] if secret.startswith(("Bearer", "Basic")) else secret
    core = "user:hunter2hunter2" if "hunter2" in secret else core
    for formatter in (JsonFormatter(), PeopleFormatter()):
        line = formatter.format(record(f"it failed with {secret}"))
        assert core not in line
        assert HIDDEN in line


def test_known_secrets_are_concealed_in_stacks() -> None:
    """A secret that this process read is concealed wherever it turns up, also in a stack."""
    conceal(CANARY)
    made = record("failed")
    error = ValueError(f"no user has the password {CANARY}")
    made.exc_info = (ValueError, error, None)

    for formatter in (JsonFormatter(), PeopleFormatter()):
        line = formatter.format(made)
        assert CANARY not in line
        assert "no user has the password" in line


def test_ordinary_text_is_left_alone() -> None:
    """Digests, names and sentences are shown as they are."""
    text = "europe-docker.pkg.dev/acme/shop@sha256:" + "a" * 64 + " signed for projects/acme/attestors/ci"

    assert redact(text) == text


def test_line_for_people_cannot_steer_the_terminal() -> None:
    """Somebody else's words, such as the reason of a stopped line, are only words."""
    line = PeopleFormatter().format(record("stopped: \x1b[2J\u202egone"))

    assert line.endswith("stopped: \\u001b[2J\\u202egone")
