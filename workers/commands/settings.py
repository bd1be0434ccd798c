"""`sealane settings`: every SEALANE_ variable, its meaning and default."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands.output import JSON, examples, write_json, write_table

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

MARKDOWN = Annotated[bool, typer.Option("--markdown", help="Write the page deploy/SETTINGS.md.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("settings", epilog=examples("sealane settings", "sealane settings --json | jq -r .variable"))(settings)


def settings(markdown: MARKDOWN = False, as_json: JSON = False) -> None:
    """List every SEALANE_ variable, its meaning and its default."""
    if markdown:
        typer.echo(page(), nl=False)
    elif as_json:
        for variable, default, meaning in rows():
            write_json({"variable": variable, "default": default, "meaning": meaning})
    else:
        write_table(["variable", "default", "meaning"], rows(), empty="")


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield variable, default and meaning of each setting; a group of settings is a variable that holds JSON."""
    from workers.settings import Settings

    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        yield f"{prefix}{name}".upper(), _default(field), " ".join((field.description or "").split())


def page() -> str:
    """Return the page of all settings."""
    lines = ["# Settings", "", "Made by `sealane settings --markdown`. A list or a group is given as JSON.", ""]
    lines += ["| variable | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{variable}` | {f'`{default}`' if default else ''} | {meaning} |" for variable, default, meaning in rows()
    ]
    return "\n".join([*lines, ""])


def _default(field: "FieldInfo") -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is None or value == ():
        return ""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}"
    if isinstance(value, str | int | Path):
        return str(value)
    return "{}"
