"""What belongs together in the repository agrees."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *(
        page
        for folder in ("docs", "arduino", "homeassistant")
        for page in ROOT.glob(f"{folder}/**/*.md")
    ),
]
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def broken_links(page: Path) -> list[str]:
    """The links of a page, within the repository, that lead nowhere."""
    links = LINK.findall(CODE_BLOCK.sub("", page.read_text("utf-8")))
    return [link for link in links if not exists(page, *link.partition("#")[::2])]


def exists(page: Path, path: str, anchor: str) -> bool:
    """Whether a page may link to this file, and to this heading of it if one is named."""
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """What follows the `#` in links to the headings of a page, as GitHub makes it."""
    headings = HEADING.findall(CODE_BLOCK.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert newest
    assert newest[1] == project["version"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("link", ["nowhere.md", "#nothing", "page.md#nothing", "missing/"])
def test_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        f"# Some thing\n[works](#some-thing) [elsewhere](https://cw.local/) [x]({link})"
    )

    assert broken_links(page) == [link]


def test_the_lines_of_the_ways_are_about_those_of_their_files() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]*) \| (\d+) \|", page, re.MULTILINE)

    for files, said in rows:
        names = re.findall(r"`([^`]+)`", files)
        folder = ROOT / "cw_mqtt" / names[0].rpartition("/")[0]
        paths = [folder / name.rpartition("/")[2] if name[-1] != "/" else name for name in names]
        found = [path if isinstance(path, Path) else folder / path for path in paths]
        modules = [m for path in found for m in ([path] if path.is_file() else path.glob("*.py"))]
        lines = sum(module.read_text("utf-8").count("\n") for module in modules)
        assert abs(lines - int(said)) <= 0.1 * lines, f"{files}: {lines} lines"
    assert len(rows) > 15
