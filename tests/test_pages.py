"""The links, paths, modules, commands and options that the pages name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
TREE = "benchmarks|docs|experiments|src|tests"


def anchors(page: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)", FENCED.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(text: str, page: Path) -> list[str]:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        there = text if target == page else target.read_text(encoding="utf-8") if anchor and target.exists() else ""
        if not target.exists() or (anchor and anchor not in anchors(there)):
            dead.append(link)
    return dead


def dead_paths(text: str) -> list[str]:
    """Modules that end no path of the tree, whole paths that do not exist, and what `python -m` would not find."""
    modules = [f"/{path.as_posix()}" for folder in TREE.split("|") for path in (ROOT / folder).rglob("*.py")]
    named = set(re.findall(r"(?<![\w./-])[\w./-]+\.py\b", text))
    dead = [name for name in named if not any(path.endswith(f"/{name}") for path in modules)]
    whole = set(re.findall(rf"(?<![\w./-])(?:{TREE})/[\w./-]*[\w/]", re.sub(r"\]\([^)]*\)|https?:\S+", "", text)))
    dead += [name for name in whole - named if not (ROOT / name).exists()]
    started = set(re.findall(r"python -m ((?:benchmarks|docs|experiments)\.[\w.]*\w)", text))
    files = {name: ROOT / name.replace(".", "/") for name in started}
    ends = (".py", "/__main__.py")
    dead += [name for name, file in files.items() if not any(Path(f"{file}{end}").exists() for end in ends)]
    return sorted(dead)


def dead_options(text: str) -> list[str]:
    """Options of `polyglance` that the help of their command, in docs/cli.md, does not have."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    helps = dict(re.findall(r"^## polyglance ([\w ]+)\n\n```\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    dead = []
    for line in re.findall(r"(?:^|`)polyglance ([^`#\n]+)", text, re.MULTILINE):
        command = max((name for name in helps if f"{line} ".startswith(f"{name} ")), key=len, default="")
        known = re.split(r"[\s,|]+", helps.get(command, page))
        dead += [f"{command} {option}" for option in re.findall(r"(?<!\S)--[\w-]+", line) if option not in known]
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    assert dead_links(page.read_text(encoding="utf-8"), page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page):
    assert dead_paths(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_exists(page):
    assert dead_options(page.read_text(encoding="utf-8")) == []


def test_what_does_not_exist_is_found():
    links = "# A head, and more\n[](#a-head-and-more) [](#tail) [](docs/design.md#floors) [](docs/design.md#no) [](no)"
    assert dead_links(links, ROOT / "README.md") == ["#tail", "docs/design.md#no", "no"]
    paths = "`nn/encoder.py` `nn/no.py` `docs/results/` `tests/no/` `python -m docs.generate` `python -m docs.none`"
    assert dead_paths(paths) == ["docs.none", "nn/no.py", "tests/no/"]
    options = "`polyglance search QUERY --no-rerank --depth 3`\npolyglance train vqa --data FILE --speed 9  # --none"
    assert dead_options(options) == ["search --depth", "train vqa --speed"]
