"""The tree stays as it was drawn."""

import ast
import re
from importlib.metadata import files as distributed

import schemas
import workers
from tests.house.tree import ROOT, files, name, python

TOP = {
    *(".ci", "deploy", "proto", "schemas", "tests", "workers"),
    *(".editorconfig", ".gitignore", "pyproject.toml", "Makefile", "Procfile", "LICENSE"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("requirements.lock", "requirements-build.lock", "requirements-worker.lock"),
}
LONG_FILES = {
    # file: why it may be longer than 300 lines
}
LONG_FUNCTIONS = {
    # file:function: why it may be longer than 40 lines
}
FILE, TEST_FILE, FUNCTION = 300, 400, 40
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_top_level_is_fixed() -> None:
    """Nothing new appears at the top without a decision."""
    assert {path.relative_to(ROOT).parts[0] for path in files()} <= TOP


def test_proto_is_no_package() -> None:
    """`import proto` is proto-plus: with an `__init__.py` in proto/, every Google client would break."""
    assert not (ROOT / "proto" / "__init__.py").exists()


def test_packages_come_from_this_distribution() -> None:
    """`workers` and `schemas` are ours: no other distribution shadows them."""
    assert workers.__path__[0] == str(ROOT / "workers")
    assert schemas.__path__[0] == str(ROOT / "schemas")
    assert any("sealane" in str(file) for file in distributed("sealane") or ())


def test_files_are_short() -> None:
    """A file that grows past 300 lines, or a file of tests past 400, is split by noun."""
    long = {
        name(path): count
        for path in files(".py")
        if (count := len(path.read_text(encoding="utf-8").splitlines()))
        > (TEST_FILE if path.is_relative_to(ROOT / "tests") else FILE)
        and "pb" not in path.parts
    }

    assert set(long) <= set(LONG_FILES), long


def test_functions_are_short() -> None:
    """A function that grows past 40 lines has a part with a name of its own."""
    long = {}
    for folder in ("workers", "schemas", "tests"):
        for path, tree in python(folder):
            for node in ast.walk(tree):
                if isinstance(node, _FUNCTIONS) and (count := _lines(node)) > FUNCTION:
                    long[f"{name(path)}:{node.name}"] = count

    assert set(long) <= set(LONG_FUNCTIONS), long


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count what has to be understood: the body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


def test_every_test_is_a_sentence() -> None:
    """Each test says in its docstring what holds, and the name says it shorter."""
    silent = [
        f"{name(path)}:{node.name}"
        for path, tree in python("tests")
        for node in ast.walk(tree)
        if isinstance(node, _FUNCTIONS) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_no_test_sleeps() -> None:
    """A test waits for a condition; a pause in place of one is a race on a slow machine."""
    sleeping = [
        f"{name(path)}:{node.lineno}"
        for path, tree in python("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "sleep"
        and isinstance(node.value, ast.Name)
        and node.value.id == "time"
    ]

    assert sleeping == []


def test_no_room_for_utilities() -> None:
    """What has no better name than that has no place."""
    forbidden = {"utils", "util", "common", "helpers", "helper", "base", "misc"}

    assert [name(path) for path in files(".py") if forbidden & {path.stem, *path.parent.parts[len(ROOT.parts) :]}] == []


def test_the_tree_speaks_of_itself_alone() -> None:
    """No machine's own paths, no place of work, no package index: the project reads the same everywhere."""
    words = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "pypi" + ".org", "pythonhosted" + ".org")
    told = [
        f"{name(path)}: {word}"
        for path in files()
        if path.suffix not in {".png", ".ico"}
        for word in words
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]

    assert told == []


def test_notes_for_later_are_not_left_behind() -> None:
    """What is not done is an issue, not a comment."""
    mark = re.compile(r"#\s*(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")

    assert [name(path) for path in files(".py") if mark.search(path.read_text(encoding="utf-8"))] == []


def test_exceptions_to_the_rules_carry_a_reason() -> None:
    """Each `noqa` and `type: ignore` names its code and says why."""
    bare = re.compile(r"#\s*noqa(?!: [A-Z0-9, ]+ - \S)|#\s*type: ignore(?!\[[a-z, -]+\]\s+# \S)")
    found = [
        f"{name(path)}:{number}"
        for path in files(".py")
        if path.name != "test_tree.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if bare.search(line)
    ]

    assert found == []
