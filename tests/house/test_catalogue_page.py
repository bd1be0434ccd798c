"""The catalogue's page is generated, and fresh."""

from pathlib import Path

from workers.commands.catalogue_page import markdown, travels

PAGE = Path(__file__).parents[2] / "schemas" / "CATALOGUE.md"


def test_catalogue_page_is_fresh() -> None:
    """What the page says is what the models and the workers' signatures say now."""
    fresh = PAGE.read_text(encoding="utf-8") == markdown(travels())

    assert fresh, "run: sealane schema export --format markdown -o schemas/CATALOGUE.md"
