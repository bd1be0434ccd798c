"""`sealane principals key|check`: API keys for the door, and its policy in words."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workers.commands.output import JSON, examples, write_json, write_records, write_table

FILE = Annotated[
    str, typer.Argument(metavar="[FILE]", help="JSON file with the policy, - for stdin; default: SEALANE_PRINCIPALS.")
]
_COLUMNS = {
    "PRINCIPAL": lambda record: record["principal"],
    "KNOWN BY": lambda record: record["proof"],
    "MAY PUBLISH": lambda record: "; ".join(record["may_publish"]) or "nothing",
    "MAY SEE": lambda record: "; ".join([*record["may_see"], *(["may act"] * record["may_act"])]) or "its own runs",
    "AS SOURCE": lambda record: record["sources"],
    "RATE": lambda record: record["rate"],
    "STREAMS": lambda record: record["open_streams"],
    "REMARKS": lambda record: "; ".join(record["remarks"]),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    calls = ("sealane principals key", "sealane principals check principals.json")
    group = typer.Typer(
        help="Who may bring events to the door: keys, and who may what.",
        epilog=examples(*calls),
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("key", epilog=examples("sealane principals key", "sealane principals key --json | jq -r .hash"))(key)
    group.command(
        "check",
        epilog=examples("sealane principals check principals.json", "sealane principals check --json | jq .remarks"),
    )(check)
    app.add_typer(group, name="principals")


def key(*, as_json: JSON = False) -> None:
    """Make an API key, shown this once, and its hash for the policy.

    Give the key to whoever shall bear it, as a secret, and write the hash into `api_keys` of a principal. To replace a
    key, name both hashes until everybody bears the new one.
    """
    from workers.gateway.callers import hash_of, new_key

    made = new_key()
    record = {"key": made, "hash": hash_of(made)}
    if as_json:
        write_json(record)
    else:
        write_table(["what", "value"], record.items(), empty="")


def check(file: FILE = "", *, as_json: JSON = False) -> None:
    """Check a policy, and say in words who may bring what.

    What is allowed but hardly meant so is remarked on. Without FILE it is the policy that a door would open with.
    """
    from workers.gateway.explanation import explain, unused

    policy = _policy(file)
    records: list[dict[str, Any]] = [one.as_json() for one in explain(policy)]
    write_records(records, _COLUMNS, as_json=as_json, empty="Nobody may bring anything.")
    if not file and not policy.principals:
        typer.echo("SEALANE_PRINCIPALS names none; the door of a local world knows some of its own besides", err=True)
    for issuer in unused(policy):
        typer.echo(f"nobody bears tokens of the issuer {issuer!r}", err=True)


def _policy(file: str) -> Any:
    """Return the policy. Raises Invalid."""
    import sys

    from workers.app.environment import load_settings
    from workers.bus.rooms import all_wirings
    from workers.bus.topology.permissions import doors
    from workers.failures import Invalid
    from workers.gateway.principals import read_policy

    if file == "-":
        text = sys.stdin.read()
        if not text.lstrip().startswith(("{", "[")):
            raise Invalid("what is on stdin is no JSON object: a policy is one, with `issuers` and `principals`")
    elif file:
        text = str(Path(file))
    else:
        text = load_settings().principals
    return read_policy(text).within(doors(all_wirings().values()))
