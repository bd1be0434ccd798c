"""Findings and differences as somebody at a terminal sees them."""

import io
import sys

import pytest

from workers.commands.policy_pages import show_changes, show_findings
from workers.policy.changes import Change
from workers.policy.findings import error

SENTENCE = "the attestor projects/acme/attestors/built-by-ci does not exist, so nothing can ever run"
CHANGE = Change("changed", ("defaultAdmissionRule", "evaluationMode"), "REQUIRE_ATTESTATION", "ALWAYS_ALLOW", "loosens")


class Terminal(io.StringIO):
    """A terminal that keeps what is written on it."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal of forty columns, with colours, in the place of stdout."""
    found = Terminal()
    monkeypatch.setattr(sys, "stdout", found)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    return found


def show() -> None:
    """Write one finding and one difference."""
    found = error("missing-attestor", ("defaultAdmissionRule",), SENTENCE, "make it, or correct the name")
    show_findings("policy.yaml", [found], as_json=False)
    show_changes([CHANGE], as_json=False, same="")


def test_a_sentence_stays_one_line_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal folds it by itself, and what is copied from it is whole; without colours, no byte steers it."""
    terminal = terminal_of(monkeypatch)
    show()
    coloured = terminal.getvalue()
    terminal = terminal_of(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    show()
    plain = terminal.getvalue()

    assert SENTENCE in coloured
    assert "\x1b[1m" in coloured
    assert "\x1b" not in plain
    assert f"policy.yaml: error: {SENTENCE}" in plain.splitlines()
    assert any(line.endswith("REQUIRE_ATTESTATION -> ALWAYS_ALLOW  (loosens)") for line in plain.splitlines())
