"""`sealane schema`: reads the event catalogue to people and programs."""

import enum
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from workers.commands import completion
from workers.commands.output import JSON, examples, write_json, write_records, write_table
from workers.failures import Invalid

schema = typer.Typer(
    help="Read the event catalogue.",
    epilog=examples(
        "sealane schema list",
        "sealane schema show image.pushed",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Format(enum.StrEnum):
    """The forms in which the catalogue can be had."""

    JSON_SCHEMA = "json-schema"
    ASYNCAPI = "asyncapi"
    MARKDOWN = "markdown"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(schema, name="schema")


@schema.command("list", epilog=examples("sealane schema list", "sealane schema list --json | jq -r .type"))
def list_events(*, as_json: JSON = False) -> None:
    """List all events: type, meaning, who emits and who consumes them."""
    from schemas.catalogue import EVENTS
    from workers.commands.catalogue_page import meaning, travels

    found = travels()
    records = [
        {
            "type": event.event_type,
            "meaning": meaning(event),
            "emitted_by": found[event.event_type].emitted_by,
            "consumed_by": found[event.event_type].consumed_by,
        }
        for event in EVENTS
    ]
    columns = {
        "TYPE": lambda record: record["type"],
        "EMITTED BY": lambda record: ", ".join(record["emitted_by"]) or "(outside)",
        "CONSUMED BY": lambda record: ", ".join(record["consumed_by"]) or "(nobody)",
        "MEANING": lambda record: record["meaning"],
    }
    write_records(records, columns, as_json=as_json, empty="The catalogue is empty.")


@schema.command(epilog=examples("sealane schema show image.pushed", "sealane schema show image.pushed --json | jq ."))
def show(
    event_type: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="Type of event, e.g. image.pushed.", autocompletion=completion.event_types),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write the JSON Schema, for programs.")] = False,
) -> None:
    """Show one event: its fields and an example."""
    from schemas.catalogue import CATALOGUE, example_of
    from workers.commands.catalogue_page import field_rows, meaning

    event = CATALOGUE.get(event_type)
    if event is None:
        raise Invalid(f"there is no event {event_type!r}: the types are {', '.join(sorted(CATALOGUE))}")
    if as_json:
        write_json(event.model_json_schema())
        return
    typer.echo(f"{event_type}: {meaning(event)}\n")
    rows = [(row.name, row.type, row.constraint.replace("`", ""), row.description) for row in field_rows(event)]
    write_table(("FIELD", "TYPE", "CONSTRAINT", "MEANING"), rows, empty="It has no fields.")
    typer.echo(f"\nExample:\n{json.dumps(example_of(event), indent=2, ensure_ascii=False)}")


@schema.command(
    epilog=examples(
        "sealane schema export --format json-schema -o events.schema.json",
        "sealane schema export --format asyncapi -o asyncapi.json",
        "sealane schema export --format markdown -o schemas/CATALOGUE.md",
    )
)
def export(
    form: Annotated[Format, typer.Option("--format", help="In which form.")] = Format.JSON_SCHEMA,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: stdout.")] = None,
) -> None:
    """Write the catalogue as JSON Schema, AsyncAPI 3.0 or Markdown."""
    text = _exported(form)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def json_schemas() -> dict[str, Any]:
    """Return one JSON Schema document (2020-12) with every event under its type."""
    from pydantic.json_schema import models_json_schema

    from schemas.catalogue import EVENTS

    references, document = models_json_schema([(event, "validation") for event in EVENTS])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sealane events",
        "description": "The body of every event, by CloudEvents type.",
        "events": {event.event_type: references[event, "validation"] for event in EVENTS},
        "$defs": document["$defs"],
    }


def _exported(form: Format) -> str:
    if form is Format.MARKDOWN:
        from workers.commands.catalogue_page import markdown, travels

        return markdown(travels())
    if form is Format.ASYNCAPI:
        try:
            from workers.bus.declaration.asyncapi import document
        except ModuleNotFoundError as error:
            raise Invalid(f"AsyncAPI needs {error.name}: install the extra `sealane[catalogue]`") from None

        return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    return json.dumps(json_schemas(), indent=2, ensure_ascii=False) + "\n"
