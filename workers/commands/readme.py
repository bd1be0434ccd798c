"""The parts of README.md that are made from the code: the table of workers."""

from workers.bus.rooms import all_wirings

BEGIN = "<!-- workers: made from the cards, `make pages` -->"
END = "<!-- /workers -->"


def workers_table() -> str:
    """Return the table of workers: what each consumes, does and emits."""
    lines = ["| event consumed | worker | what it does | emits |", "|---|---|---|---|"]
    for name, wiring in all_wirings().items():
        consumed = ", ".join(f"`{event}`" for event in wiring.consumed_types)
        emitted = ", ".join(f"`{event}`" for event in wiring.emitted_types)
        lines.append(f"| {consumed} | `{name}` | {wiring.card.summary} | {emitted} |")
    return "\n".join(lines)


def with_tables(readme: str) -> str:
    """Return the README with its made parts as the code says now."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{workers_table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    from pathlib import Path

    file = Path("README.md")
    file.write_text(with_tables(file.read_text(encoding="utf-8")), encoding="utf-8")
