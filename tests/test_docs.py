"""README and docs say what the program does: their commands, options, parameters, files and links are real."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from typer.main import get_command

from tests.conftest import ROOT
from wsgcn import cli
from wsgcn.errors import UsageError
from wsgcn.params import Params, parse_params
from wsgcn.preset import OWN_PRESET, PRESETS, OwnPhotographs, params_text, pipeline_text
from wsgcn.vocabulary import PRESET_FOLDER

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MAX_README_WORDS = 1200
SECTIONS = "|".join(Params.model_fields)
CHECKED = ("wsgcn", "dvc", "pytest")
SUFFIXES = (".py", ".json", ".csv", ".md", ".yaml", ".txt", ".png")
WRONG_USE = typer.BadParameter.__base__
"""What every wrong use of a command is; Typer may have a copy of click of its own, so it is not click's."""

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


@dataclass
class Page:
    """A page: its blocks of code by language, what is `like this`, and the rest."""

    path: Path
    text: str
    blocks: list[tuple[str, str]] = field(default_factory=list)
    prose: str = ""

    def __post_init__(self) -> None:
        fence: str | None = None
        for line in self.text.splitlines():
            marked = re.fullmatch(r"```(\w*)", line.strip())
            if marked and fence is None:
                fence = marked[1]
                self.blocks.append((fence, ""))
            elif marked:
                fence = None
            elif fence is not None or line.startswith("    "):
                if fence is None:
                    self.blocks.append(("", ""))
                language, code = self.blocks.pop()
                self.blocks.append((language, f"{code}{line}\n"))
            else:
                self.prose += f"{line}\n"

    @cached_property
    def inline(self) -> list[str]:
        """What is `like this`, which may go over the end of a line."""
        return [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", self.prose)]

    @cached_property
    def projects(self) -> list[dict[str, Any]]:
        """The presets and a project of own photographs, each with what the page's own YAML adds."""
        projects = [*map(_preset, PRESETS), copy.deepcopy(_loaded(params_text(OWN_PRESET, OWN, None)))]
        own = [yaml.safe_load(code) for language, code in self.blocks if language == "yaml"]
        for content in projects:
            for one in own:
                _merge(content, one)
        return projects

    def commands(self) -> Iterator[tuple[list[str], bool]]:
        """Words of every command, and whether it stands alone in a block, so that it must be complete."""
        lines = [line for language, code in self.blocks if language in ("", "bash", "sh") for line in code.splitlines()]
        for line, complete in [(one, True) for one in lines] + [(one, False) for one in self.inline]:
            if re.search(rf"(^|[ =])({'|'.join(CHECKED)})( |$)", line):
                yield from ((words, complete) for words in _split(shlex.split(line, comments=True)))


def _split(words: list[str]) -> Iterator[list[str]]:
    """The commands of a line, without variables before them."""
    found: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", ";", "|"):
            found.append([])
        elif found[-1] or not re.match(r"[A-Z_]+=", word):
            found[-1].append(word)
    yield from (one for one in found if one)


OWN = OwnPhotographs(Path("photographs"), "pets", ("background", "cat", "dog"), "train", None, "", {})


def _preset(name: str) -> dict[str, Any]:
    """The parameters of a preset, to be changed at will."""
    return copy.deepcopy(_loaded((PRESET_FOLDER / f"{name}.yaml").read_text()))


@cache
def _loaded(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)


def _merge(content: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            _merge(content[key], value)
        else:
            content[key] = value


# ---------------------------------------------------------------- what is wrong with a page


def problems(page: Page) -> list[str]:
    """Everything that a page says and that is not so, one line each."""
    check = dict(zip(CHECKED, (_wsgcn_problems, _dvc_problems, _pytest_problems), strict=True))
    found = []
    for words, complete in page.commands():
        if words[0] in check:
            found += [f"{' '.join(words)}: {one}" for one in check[words[0]](page, words[1:], complete)]
    return [*found, *_wrong_names(page), *_wrong_links(page), *_wrong_code(page)]


def _wsgcn_problems(page: Page, words: list[str], complete: bool) -> list[str]:
    command = get_command(cli.app)
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return [f"no command {words[0]}"]
        command, words = command.commands[words[0]], words[1:]
    if getattr(command, "commands", None) and not words:
        return [] if not complete else ["a command is missing"]
    try:
        given = command.make_context("wsgcn", list(words)).params
    except WRONG_USE as error:
        return [] if type(error).__name__ == "MissingParameter" and not complete else [error.format_message()]
    except typer.Exit:  # --help
        return []
    named = {kind: given.get(kind) for kind in ("method", "variant")}
    return [
        f"no {kind} {name}"
        for kind, name in named.items()
        if name is not None and all(name not in content[f"{kind}s"] for content in page.projects)
    ]


def _dvc_problems(page: Page, words: list[str], complete: bool) -> list[str]:
    try:
        given = get_main_parser().parse_args(words)
    except (DvcParserError, SystemExit) as error:
        return [] if isinstance(error, SystemExit) and not error.code else ["dvc does not know this"]
    if given.func.__name__ not in ("CmdRepro", "CmdExperimentsRun"):
        return []
    targets = {name for content in page.projects for name in _targets(content)}
    wrong = [f"no stage {one}" for one in given.targets or () if one not in targets]
    changes = [one.partition("=")[::2] for one in getattr(given, "set_param", None) or ()]
    return [*wrong, *_wrong_changes(page, {name: yaml.safe_load(value) for name, value in changes})]


def _targets(content: dict[str, Any]) -> Iterator[str]:
    stages = _loaded(pipeline_text("demo"))["stages"]
    for name, stage in stages.items():
        yield name
        yield from (f"{name}@{key}" for key in content.get(str(stage.get("foreach"))[2:-1], ()))


def _wrong_changes(page: Page, changes: dict[str, Any]) -> list[str]:
    """Parameters that are in no project, and values that no preset takes."""
    wrong = [f"no parameter {name}" for name in changes if not any(_has(one, name) for one in page.projects)]
    if wrong or not changes:
        return wrong
    errors = []
    for preset in PRESETS:
        content = _preset(preset)
        if not all(_has(content, name) for name in changes):
            continue
        for name, value in changes.items():
            *path, last = name.split(".")
            section = content
            for part in path:
                section = section[part]
            section[last] = value
        try:
            parse_params(content, preset)
        except UsageError as error:
            errors.append(str(error))
        else:
            return []
    return errors[:1]


def _has(content: Any, name: str) -> bool:
    """Whether there is a parameter or section of this dotted name; a part like <entry> stands for any."""
    part, _, rest = name.partition(".")
    if not isinstance(content, dict):
        return False
    found = [*content.values()] if part.startswith("<") else [content[part]] if part in content else []
    return any(not rest or _has(one, rest) for one in found)


def _pytest_problems(page: Page, words: list[str], complete: bool) -> list[str]:
    return [f"no file {one}" for one in words if "/" in one and not (ROOT / one.partition("::")[0]).exists()]


def _wrong_names(page: Page) -> Iterator[str]:
    """Parameters, alone or with a value, that no project has."""
    for one in page.inline:
        found = re.fullmatch(rf"(?:-S )?((?:{SECTIONS})(?:\.(?:<[\w ]+>|[\w-]+))+)(?:=.*|: .*)?", one)
        if found and not found[1].endswith(SUFFIXES) and not any(_has(content, found[1]) for content in page.projects):
            yield f"{one}: no such parameter"


def _wrong_links(page: Page) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.prose):
        if link.startswith(("https://", "http://")):
            continue
        place, _, heading = link.partition("#")
        target = page.path.parent / place if place else page.path
        if not target.exists():
            yield f"{link}: no such file"
        elif heading and heading not in _headings(page.text if target == page.path else target.read_text()):
            yield f"{link}: no such heading"


def _headings(text: str) -> set[str]:
    """Headings as GitHub names them in links."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def _wrong_code(page: Page) -> Iterator[str]:
    """Files of the repository that are not there, but for those that the page tells to write, and names not in them."""
    written = set(re.findall(r"^File `([^`]+)`:", page.prose, re.MULTILINE))
    for one in page.inline:
        if re.fullmatch(r"(wsgcn|tests|docs|\.ci)/[\w./-]*", one) and not (ROOT / one).exists() and one not in written:
            yield f"{one}: no such file"
    for file, names in re.findall(r"`(wsgcn/[\w/]+\.py)`: (`\w+`(?:, `\w+`)*)", page.prose):
        code = (ROOT / file).read_text() if (ROOT / file).exists() else ""
        for name in re.findall(r"\w+", names):
            if not re.search(rf"^(?:(?:class|def) {name}\b|{name}(?::.*)? = )", code, re.MULTILINE):
                yield f"{file}: no {name} in it"


# ---------------------------------------------------------------- the pages


@each_page
def test_a_page_says_nothing_that_is_not_so(path):
    assert problems(Page(path, path.read_text())) == []


@each_page
def test_no_figure_comes_from_a_script_that_is_not_here(path):
    assert not re.search(r"throw-?\s?away|not\s+kept", path.read_text(), re.IGNORECASE)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= MAX_README_WORDS


def test_the_commands_of_readme_are_found():
    commands = [" ".join(words) for words, _ in Page(ROOT / "README.md", (ROOT / "README.md").read_text()).commands()]
    assert "dvc repro" in commands
    assert "pytest" in commands
    assert any(one.startswith("wsgcn init") for one in commands)
    assert any(one.startswith("dvc exp run") and " -S " in one for one in commands)


# ---------------------------------------------------------------- the checker itself

GOOD = """
# It's good

    OMP_NUM_THREADS=1 dvc repro && wsgcn propagate --method Mine    # it's `mine`
    dvc exp run -n one -S propagate.gcn-i.lr=0.1 -S segtrain.deeplab.steps="3 epochs" evaluate-labels@Mine
    wsgcn init DIR --preset voc12 --data DIR

See [above](#its-good), [Python](https://python.org), `wsgcn weights
import`, `wsgcn/cli/__init__.py`: `main`, `dataset.root`, `cams.<entry>.train: null` and `dataset.md`.

```yaml
methods:
  Mine: {variant: I, propagation: gcn-i, crf: gcn, segtrain: deeplab}
```
"""


def _problems_of(text):
    return problems(Page(ROOT / "README.md", text))


def test_what_is_so_is_no_problem():
    assert _problems_of(GOOD) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("    wsgcn propagat --method PSA", "no command propagat"),
        ("    wsgcn weights", "a command is missing"),
        ("    cd x && wsgcn propagate --methods PSA", "No such option: --methods"),
        ("`wsgcn propagate --method Mine`", "no method Mine"),
        ("`wsgcn cams --variant Q`", "no variant Q"),
        ("`wsgcn weights import FILE --as resnet-39`", "resnet-39"),
        ("    wsgcn weights import FILE", "Missing option"),
        ("`wsgcn bench --repeats 0`", "--repeats"),
        ("`dvc reproduce`", "dvc does not know this"),
        ("    dvc exp show --bogus", "dvc does not know this"),
        ("`dvc repro segment@PSA`", "no stage segment@PSA"),
        ("`dvc repro crf@Mine`", "no stage crf@Mine"),
        ("    dvc exp run -S propagate.gcn.lr=1", "no parameter propagate.gcn.lr"),
        ("    dvc exp run -S propagate.gcn-i.objective=papers", "propagate.gcn-i.objective"),
        ("    pytest tests/test_none.py", "no file tests/test_none.py"),
        ("`propagate.objective`", "no such parameter"),
        ("`cams.<entry>.view`", "no such parameter"),
        ("`-S evaluate.mask=x`", "no such parameter"),
        ("[there](docs/none.md)", "no such file"),
        ("[there](#none)", "no such heading"),
        ("`wsgcn/none.py`", "no such file"),
        ("`wsgcn/cli/__init__.py`: `main`, `nothing`", "no nothing in it"),
    ],
)
def test_what_is_not_so_is_found(text, said):
    (found,) = _problems_of(f"{text}\n")
    assert said in found
