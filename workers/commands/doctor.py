"""`sealane doctor`: what is wrong, and what to do."""

from pathlib import Path

import typer

from workers.commands.output import DATA, JSON, examples


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=examples("sealane doctor", "sealane doctor --json | jq 'select(.good | not)'"))(doctor)


def doctor(data: DATA = None, as_json: JSON = False) -> None:
    """Ask the bus, the workers and every port whether they work.

    Exit 1 if anything is wrong; each finding says what to do.
    """
    import asyncio

    raise typer.Exit(asyncio.run(_doctor(data, as_json=as_json)))


async def _doctor(data: Path | None, *, as_json: bool) -> int:
    from workers.app.diagnosis import diagnose
    from workers.app.environment import load_settings
    from workers.app.logs import configure_logs
    from workers.commands.output import write_json, write_table

    settings = load_settings(data)
    configure_logs("ERROR")
    findings = []
    async for finding in diagnose(settings):
        findings.append(finding)
        if as_json:
            write_json(finding.as_json())
    wrong = [finding for finding in findings if not finding.good]
    if not as_json:
        rows = [
            ("good" if finding.good else "WRONG", finding.area, finding.subject, finding.said) for finding in findings
        ]
        write_table(["", "area", "what", "found"], rows, empty="nothing was asked")
        typer.echo(
            f"{len(wrong)} of {len(findings)} things are wrong" if wrong else f"all {len(findings)} things are good"
        )
    return 1 if wrong else 0
