"""The `sealane` command: gathers the subcommands of `workers/commands` and turns failures into one sentence.

Exit codes: 0 done, 1 it failed, 2 the input or the command line is wrong, 130 interrupted.
"""

import gc
import importlib
import os
import signal
import sys
from typing import Annotated

_interrupting = signal.getsignal(signal.SIGINT)
if _interrupting is signal.default_int_handler:  # Ctrl-C while the modules load ends the process without a stack
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# What is imported lives as long as the process: looking for garbage in it is a tenth of the time of a start.
gc.set_threshold(20_000, 20, 50)

import typer  # noqa: E402 - it takes its time

from workers.failures import Invalid, SealaneError  # noqa: E402 - see above

_GROUPS = (
    *("world", "local", "demo", "doctor"),
    *("publish", "follow", "dead", "line"),
    *("images", "attestation", "attestor", "rotation", "keys", "policy"),
    *("roster", "worker", "gateway", "console", "principals"),
    *("streams", "schema", "settings"),
)
"""The modules of `workers/commands` that register commands, in the order of `--help`; their neighbours only help."""

app = typer.Typer(
    name="sealane",
    help="Small workers on a message bus: images signed, tenants and credentials kept safe, everything followable.",
    epilog="Begin with: sealane demo --once",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - costs 20 ms, needed for this flag alone

        typer.echo(f"sealane {version('sealane')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Hold the options of the command itself."""


for _module in _GROUPS:
    importlib.import_module(f"workers.commands.{_module}").register(app)
if _interrupting is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    """Run the command line; every failure ends in one sentence on stderr and an exit code."""
    try:
        app(prog_name="sealane")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:  # noqa: BLE001 - the last place that can speak to a person
        raise SystemExit(_explain(error)) from None


def _explain(error: BaseException) -> int:
    """Say what went wrong and return the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    # The settings may be what failed, so the level is read by hand.
    if os.environ.get("SEALANE_LOG_LEVEL", "").upper() == "DEBUG":  # noqa: TID251 - see above
        sys.excepthook(type(error), error, error.__traceback__)
    sentence, code = _sentence(error)
    typer.echo(f"sealane: {sentence}", err=True)
    return code


def _sentence(error: BaseException) -> tuple[str, int]:
    if isinstance(error, SealaneError):
        return str(error), 2 if isinstance(error, Invalid) else 1
    if (wrong := _wrong_input(error)) is not None:
        return wrong, 2
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name!r} is not installed: sealane[local] brings all, sealane[worker] a worker's", 1
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1
    return f"unexpected {type(error).__name__}: {error} (SEALANE_LOG_LEVEL=DEBUG shows where)", 1


def _wrong_input(error: BaseException) -> str | None:
    """Return what is wrong with the input, if that is it; by name, since pydantic is not imported here."""
    match type(error).__name__:
        case "ValidationError" if hasattr(error, "errors"):
            return _fields(error)
        case "SettingsError":
            field = str(error).partition('field "')[2].partition('"')[0]
            return f"SEALANE_{field.upper()} is not JSON: a list or a group of settings is given as JSON"
        case "JSONDecodeError" | "EnvelopeError" | "UnicodeDecodeError":
            return str(error)
        case _:
            return None


def _fields(error: BaseException) -> str:
    """Return pydantic's findings as one sentence; the values themselves stay out, one might be a secret."""
    findings = error.errors(include_url=False, include_input=False)  # type: ignore[attr-defined] # not imported here
    title = getattr(error, "title", "input")
    prefix = "SEALANE_" if title == "Settings" else ""
    said = ((_place(prefix, finding["loc"]), finding["msg"].removeprefix("Value error, ")) for finding in findings)
    named = (f"{place or 'the whole'}: {message}" for place, message in said)
    return f"{'the environment' if prefix else title} is not valid: {'; '.join(named)}"


def _place(prefix: str, place: tuple[int | str, ...]) -> str:
    """Return a field's path; a setting is named as the variable that holds it."""
    if prefix and place:
        place = (f"{prefix}{place[0]}".upper(), *place[1:])
    return ".".join(map(str, place))


if __name__ == "__main__":
    main()
