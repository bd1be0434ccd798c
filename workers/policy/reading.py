"""Reads YAML and JSON keeping the line of every value, so that a finding can be shown where it is.

What is given to it may be anything: aliases that refer to themselves, a million aliases, control characters. A field
written twice is kept in mind, since both formats silently take the last one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from workers.failures import Invalid
from workers.policy.model import Path

LARGEST = 1 << 20
"""Bytes. A policy is a few kilobytes; one with a thousand rules is a hundred."""
_MOST_NODES = 100_000
_DEEPEST = 32
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(slots=True)
class Node:
    """A value and its line, counted from 1. A map holds the nodes of its values, a list those of its items."""

    value: Any
    line: int
    twice: list[tuple[str, int]] = field(default_factory=list)
    """The keys of a map that were written again, and where."""

    @property
    def plain(self) -> Any:
        """The value without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value

    def child(self, part: str | int) -> "Node | None":
        """Return the node of a field or an item, or None."""
        if isinstance(self.value, dict):
            found: Node | None = self.value.get(part)
            return found
        if isinstance(self.value, list) and isinstance(part, int) and part < len(self.value):
            item: Node = self.value[part]
            return item
        return None

    def line_of(self, path: Path) -> int:
        """Return the line of what is at a path, or of the innermost thing around it that is there."""
        node, line = self, self.line
        for part in path:
            below = node.child(part)
            if below is None:
                break
            node, line = below, below.line
        return line

    def remove(self, path: Path) -> None:
        """Take out what is at a path, if it is there."""
        parent: Node | None = self
        for part in path[:-1]:
            parent = parent.child(part) if parent is not None else None
        if parent is not None and path and parent.child(path[-1]) is not None:
            del parent.value[path[-1]]

    def repeated(self, path: Path = ()) -> Iterator[tuple[Path, int]]:
        """Yield every key that was written again in its map, with the line of the later one."""
        yield from (((*path, key), line) for key, line in self.twice)
        if isinstance(self.value, dict | list):
            for part, node in self.value.items() if isinstance(self.value, dict) else enumerate(self.value):
                yield from node.repeated((*path, part))


def read(text: str | bytes, where: str, what: str = "a policy", begins: str = "name:") -> Node:
    """Return the tree of a YAML or JSON text. Raises Invalid, naming *where* and the line, when it cannot be read.

    *what* says in sentences what the file is, *begins* a field that it may begin with.
    """
    if len(text) > LARGEST:
        raise Invalid(f"{where} is larger than {LARGEST >> 20} MiB, too large for {what}: check the name of the file")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return _tree(_composed(decoded), where, what, begins)
    except UnicodeDecodeError as problem:
        raise Invalid(f"{where} is not UTF-8 text (byte {problem.start}): {what} is YAML or JSON") from None
    except yaml.MarkedYAMLError as problem:
        raise Invalid(f"{where}{_mark(problem.problem_mark)}: {_said(problem, what)}") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise Invalid(f"{where} is not YAML: {' '.join(str(problem).split())}") from None
    except RecursionError:
        raise Invalid(f"{where} is nested too deeply for {what}") from None


def _composed(text: str) -> yaml.Node | None:
    if text.lstrip().startswith("{"):
        try:
            json.loads(text)
        except ValueError:
            pass  # YAML may begin with a brace as well; if it is neither, YAML says where
        else:
            text = text.replace("\t", " ")  # YAML takes no tab as space; in JSON no string can hold a bare one
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _mark(mark: yaml.Mark | None) -> str:
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""


def _said(problem: yaml.MarkedYAMLError, what: str) -> str:
    why = problem.problem or "it cannot be read"
    if "single document" in (problem.context or "") or "another document" in why:
        return f"there is a second document; a file holds {what}, so remove what follows the line `---`"
    if "cannot start any token" in why and "\\t" in why:
        return "there is a tab where YAML wants spaces: indent with spaces"
    context = f" {problem.context}" if problem.context else ""
    return f"this is not YAML: {why}{context}; check the indentation, the quotes and the colons here"


class _Growing:
    """Turns the nodes of the YAML library into ours, within bounds."""

    def __init__(self, where: str, what: str) -> None:
        self._where = where
        self._what = what
        self._left = _MOST_NODES
        self._constructor = yaml.constructor.SafeConstructor()
        self._resolver = yaml.resolver.Resolver()

    def grow(self, node: yaml.Node, depth: int = 0) -> Node:
        """Return the node with all below it."""
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise Invalid(
                f"{self._where}, line {node.start_mark.line + 1}: the file is nested too deeply or refers to itself"
                f" (a YAML alias), which {self._what} never does"
            )
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._map(node, line, depth)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.grow(item, depth + 1) for item in node.value], line)
        return Node(self._scalar(node), line)

    def _map(self, node: yaml.MappingNode, line: int, depth: int) -> Node:
        values: dict[str, Node] = {}
        twice = []
        merged: list[Node] = []
        for key, value in node.value:
            name, at = self._key(key)
            grown = self.grow(value, depth + 1)
            if key.tag == _MERGE:
                merged += grown.value if isinstance(grown.value, list) else [grown]
                continue
            if name in values:
                twice.append((name, at))
            # What stands below its key is looked for at the key.
            values[name] = Node(grown.value, at, grown.twice)
        for source in merged:
            if isinstance(source.value, dict):
                values = source.value | values
        return Node(values, line, twice)

    def _key(self, key: yaml.Node) -> tuple[str, int]:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise Invalid(f"{self._where}, line {line}: a list or a mapping stands where a field's name belongs")
        return str(key.value), line

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag in {_TIMESTAMP, "tag:yaml.org,2002:str"}:
            # JSON may write one character as two escapes, which YAML reads as two.
            return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        try:
            return self._constructor.construct_object(node)
        except ValueError:
            if node.tag != self._implicit_tag(node.value):
                raise  # somebody wrote the tag
            # What only looks like a number or a date, or is one that no machine holds: a text, as JSON would have it.
            return str(node.value)

    def _implicit_tag(self, text: str) -> Any:
        """Return the tag that a plain text without one has."""
        resolver: Any = self._resolver
        return resolver.resolve(yaml.ScalarNode, text, (True, False))


def _tree(node: yaml.Node | None, where: str, what: str, begins: str) -> Node:
    if node is None:
        return Node({}, 1)
    grown = _Growing(where, what).grow(node)
    if grown.value is None:
        return Node({}, 1)
    if not isinstance(grown.value, dict):
        kind = "a list" if isinstance(grown.value, list) else "a bare value"
        raise Invalid(f"{where} holds {kind}; {what} is a mapping that begins with a field such as `{begins}`")
    return grown
