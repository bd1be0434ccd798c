"""`sealane`: every failure ends in one sentence and an exit code."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from workers import __main__
from workers.failures import Denied, Invalid, Unavailable

GROUPS = ("attestation", "attestor", "dead", "keys", "line", "local", "policy", "principals", "schema", "streams")

SECRET = "hunter2hunter2"


class Form(BaseModel):
    """Something to fill in wrongly."""

    age: int


def wrong_form() -> None:
    """Fill it in wrongly, with a secret in the wrong place."""
    Form(age=SECRET)  # type: ignore[arg-type] # the point


def raising(error: BaseException) -> Callable[..., None]:
    """Return a command line that fails."""

    def app(**_: Any) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (Unavailable("nobody answers there"), 1, "sealane: nobody answers there\n"),
        (Denied("you may not"), 1, "sealane: you may not\n"),
        (Invalid("that is no image"), 2, "sealane: that is no image\n"),
        (json.JSONDecodeError("Expecting value", "{", 1), 2, "sealane: Expecting value: line 1 column 2 (char 1)\n"),
        (
            FileNotFoundError(2, "No such file or directory", "f.json"),
            1,
            "sealane: No such file or directory: f.json\n",
        ),
        (
            ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn"),
            1,
            "sealane: the package 'uvicorn' is not installed: sealane[local] brings all, sealane[worker] a worker's\n",
        ),
        (ExceptionGroup("tasks", [Unavailable("one of them")]), 1, "sealane: one of them\n"),
    ],
)
def test_failure_is_one_sentence(
    error: Exception, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What we raise is shown as it is: 1 for a failure, 2 for bad input, no stack."""
    monkeypatch.delenv("SEALANE_LOG_LEVEL", raising=False)
    monkeypatch.setattr(__main__, "app", raising(error))
    with pytest.raises(SystemExit) as ended:
        __main__.main()

    assert ended.value.code == code
    assert capsys.readouterr().err == sentence


def test_surprise_says_how_to_see_more(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected failure names itself and the way to its stack, which is shown only when asked for."""
    monkeypatch.setattr(__main__, "app", raising(KeyError("x")))
    monkeypatch.delenv("SEALANE_LOG_LEVEL", raising=False)
    with pytest.raises(SystemExit):
        __main__.main()
    assert capsys.readouterr().err.count("\n") == 1

    monkeypatch.setenv("SEALANE_LOG_LEVEL", "debug")
    with pytest.raises(SystemExit):
        __main__.main()
    assert "Traceback" in capsys.readouterr().err


def test_wrong_field_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pydantic's findings name the field; the value stays out, it may be a secret."""

    def app(**_: Any) -> None:
        wrong_form()

    monkeypatch.delenv("SEALANE_LOG_LEVEL", raising=False)
    monkeypatch.setattr(__main__, "app", app)
    with pytest.raises(SystemExit) as ended:
        __main__.main()

    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "age: " in told
    assert SECRET not in told


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with the code that shells expect."""
    monkeypatch.setattr(__main__, "app", raising(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as ended:
        __main__.main()

    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SEALANE_GRACE", "soon", "SEALANE_GRACE: Input should be a valid timedelta"),
        ("SEALANE_REGISTRIES", "{", "SEALANE_REGISTRIES is not JSON"),
        (
            "SEALANE_SIGNING_RULES",
            "/nowhere.json",
            "SEALANE_SIGNING_RULES: the signing rules in /now",
        ),
        ("SEALANE_LOG_LEVEL", "loud", "SEALANE_LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_wrong_setting_is_named_as_the_variable(
    variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting that cannot be understood is bad input, named as the user wrote it."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.argv", ["sealane", "doctor"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("group", [(), *((name,) for name in GROUPS)])
def test_help_says_whole_sentences_on_80_columns(group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command is for is not cut off where most people read it first."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(__main__.app, [*group, "--help"]).output

    assert "Commands:" in shown
    assert "..." not in shown.partition("Commands:")[2]


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_ends_with_calls_to_copy(group: str) -> None:
    """Who does not know which command is wanted finds the usual ones, each of which exists."""
    shown = CliRunner().invoke(__main__.app, [group, "--help"]).output
    calls = [line.strip() for line in shown.partition("Examples:\n")[2].splitlines() if line.strip()]

    assert calls
    assert all(f"sealane {group} " in call for call in calls)
    for call in calls:
        command = call.partition(f"sealane {group} ")[2].split()[0].rstrip(')"')
        assert f"\n  {command} " in shown.partition("Commands:")[2], call


def test_ctrl_c_while_the_modules_load_shows_no_stack() -> None:
    """The interrupt comes at once, before there is a command that could catch it."""
    interrupted = (
        "import builtins, os, signal\n"
        "load = builtins.__import__\n"
        "def interrupting(name, *rest, **more):\n"
        "    if name == 'typer':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return load(name, *rest, **more)\n"
        "builtins.__import__ = interrupting\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import workers.__main__\n"
    )
    ended = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, check=False)

    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


def test_ctrl_c_is_heard_again_once_the_modules_are_loaded() -> None:
    """A running command ends its work when it is interrupted."""
    loaded = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import workers.__main__\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
