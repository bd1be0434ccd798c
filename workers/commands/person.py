"""Who types: named in what they publish, replay and decide, and asked before something is lost for good.

The bus knows them all as `operator`.
"""

import os
import pwd

import typer

from workers.commands.output import is_person
from workers.failures import Invalid


def who() -> str:
    """Return `operator/NAME` with this process's user name (its number where it has no name)."""
    uid = os.getuid()
    try:
        return f"operator/{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"operator/{uid}"


def ask(question: str, *, yes: bool, otherwise: str) -> None:
    """Go on only if the person agrees, or said `yes` before.

    Raises Invalid with what `--yes` would do where nobody can be asked; ends the command with 1 on no, 130 on Ctrl-C.
    """
    if yes:
        return
    if not is_person():
        raise Invalid(f"nobody can be asked here: say --yes to {otherwise}")
    try:
        typer.confirm(question, abort=True)
    except typer.Abort as refused:
        if isinstance(refused.__context__, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise
