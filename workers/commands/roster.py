"""`sealane workers`: who consumes, emits and needs what, and what that permits on the bus."""

from typing import Any

import typer

from workers.commands.output import JSON, examples, write_records


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "workers",
        epilog=examples("sealane workers", "sealane workers --json | jq .google_roles"),
    )(list_workers)


def list_workers(*, as_json: JSON = False) -> None:
    """List the workers: what they consume, emit, need, and may do.

    What each may do on the bus, and the IAM roles that its ports need at Google, are there in full with --json.
    """
    columns = {
        "WORKER": lambda record: record["worker"],
        "CONSUMES": lambda record: ", ".join(record["consumes"]) or (record["tick"] or ""),
        "EMITS": lambda record: ", ".join(record["emits"]),
        "PORTS": lambda record: ", ".join(record["ports"]),
        "MAY PUBLISH": lambda record: ", ".join(_plain(record["permissions"]["publish"])),
        "SUMMARY": lambda record: record["summary"],
    }
    write_records(_records(), columns, as_json=as_json, empty="There are no workers.")


def _records() -> list[dict[str, Any]]:
    from workers.adapters.google.roles import roles_of
    from workers.bus.rooms import all_wirings
    from workers.bus.topology.permissions import derive, identity_of, permissions_table

    wirings = all_wirings()
    rows = {row["identity"]: row for row in permissions_table(derive(wirings.values()))}
    return [
        {
            "worker": name,
            "summary": wiring.card.summary,
            "consumes": list(wiring.consumed_types),
            "emits": list(wiring.emitted_types),
            "ports": [port.__name__ for port in wiring.ports.values()],
            "tick": wiring.card.tick,
            "concurrency": wiring.card.concurrency,
            "attempts": wiring.card.attempts,
            "permissions": rows[identity_of(name)],
            "google_roles": list(roles_of(wiring.asked)),
        }
        for name, wiring in wirings.items()
    ]


def _plain(subjects: list[str]) -> list[str]:
    """Leave out the subjects of the server's own interface: they follow from the others."""
    return [subject for subject in subjects if not subject.startswith(("$", "_"))]
