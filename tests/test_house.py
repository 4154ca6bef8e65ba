"""The rules of the house, so that one pytest command is the whole suite: lint, types, doors, sizes, imports, README."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import holychat
from holychat.cli.root import COMMANDS
from holychat.errors import ExitCode
from holychat.tui import slash

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "holychat"

FILE_LINES, CLASS_LINES, FUNCTION_LINES = 400, 250, 40
LARGER: dict[str, tuple[int, str]] = {}
"""Named exceptions to the budgets: "path" or "path::name" -> (lines, why it can not be smaller)."""

BROAD_HANDLERS: dict[str, str] = {
    "holychat/chat/turn.py::_run": "turn task",
    "holychat/jobs/preparing.py::prepare": "worker item: its document",
    "holychat/jobs/sender.py::_send": "worker item: its request",
    "holychat/jobs/answers.py::read_answer": "worker item: its answer",
    "holychat/jobs/threads.py::_run": "hands it on to the one who awaits the result, as every executor does",
    "holychat/runner.py::_work": "hands it on to the one who awaits the result, as every executor does",
    "holychat/credentials/keyring_access.py::_call": "keyring call",
    "holychat/credentials/keyring_access.py::run": "keyring call (the thread inside)",
}
"""Where `except Exception` may stand: "path::function" -> which of the three boundaries it is, or why it is none."""


def run_tool(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def module_names() -> list[str]:
    names = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


# Lint, types, doors


def test_ruff_finds_nothing() -> None:
    run_tool(sys.executable, "-m", "ruff", "check", ".")


def test_everything_is_formatted() -> None:
    run_tool(sys.executable, "-m", "ruff", "format", "--check", ".")


@pytest.mark.timeout(400)
def test_types_are_sound() -> None:
    run_tool(sys.executable, "-m", "mypy")


def test_imports_only_go_through_the_doors() -> None:
    beside_python = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    run_tool(beside_python or "lint-imports")


# Sizes


def sizes() -> Iterator[tuple[str, int, int]]:
    """(name, lines, budget) of every file, class and function."""
    for path, tree in modules():
        yield path, len((ROOT / path).read_text(encoding="utf-8").splitlines()), FILE_LINES
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                budget = CLASS_LINES if isinstance(node, ast.ClassDef) else FUNCTION_LINES
                yield f"{path}::{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1, budget
    for file in sorted((ROOT / "tests").rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        yield path, len(file.read_text(encoding="utf-8").splitlines()), FILE_LINES


def test_files_classes_and_functions_keep_their_budgets() -> None:
    over = {name: lines for name, lines, budget in sizes() if lines >= LARGER.get(name, (budget,))[0]}
    assert over == {}


def test_exceptions_to_the_budgets_are_still_needed() -> None:
    needed = {name for name, lines, budget in sizes() if lines >= budget}
    assert set(LARGER) <= needed


# Imports


def loaded_by(code: str, **environ: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after running `code`."""
    program = f"{code}\nimport sys\nprint(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | environ
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


HEAVY = {"textual", "httpx", "aiohttp", "keyring", "apsw", "openai", "rich", "markdown_it", "pygments"}


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["ask", "--help"], ["history", "--help"], ["batch", "--help"], ["bench", "--help"]],
)
def test_version_and_help_load_nothing_heavy(arguments: list[str]) -> None:
    code = f"from holychat.cli.frame import run\nassert run({arguments!r}) == 0"
    assert loaded_by(code) & HEAVY == set()


def test_the_domain_needs_only_the_standard_library() -> None:
    names = [name for name in module_names() if name.startswith("holychat.domain")]
    # platformdirs and msgspec would be loaded by paths and settings, which the domain must not know.
    before = loaded_by("import site")
    loaded = {name.partition(".")[0] for name in loaded_by(f"import {', '.join(names)}") - before}
    assert loaded - set(sys.stdlib_module_names) == {"holychat"}


def test_the_screen_starts_without_network_keyring_or_database_libraries() -> None:
    names = [name for name in module_names() if name.startswith("holychat.tui")]
    loaded = loaded_by(f"import {', '.join(names)}")
    assert loaded & {"httpx", "keyring", "apsw", "openai"} == set()
    assert {name for name in loaded if name.startswith("holychat.")} & {
        "holychat.store.database", "holychat.providers.openai", "holychat.credentials.keyring_access"
    } == set()  # fmt: skip


def test_importing_every_module_touches_nothing(tmp_path: Path) -> None:
    code = f"""
import sys, threading
touched = []
watched = {{"socket.connect", "subprocess.Popen"}}
sys.addaudithook(lambda event, _: event in watched and touched.append(event))
import {", ".join(module_names())}
assert touched == [] and threading.active_count() == 1, (touched, threading.enumerate())
"""
    loaded_by(code, HOLYCHAT_HOME=str(tmp_path / "not-there"), HOME=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


# Handlers


def broad_handlers() -> Iterator[str]:
    """Functions that swallow any exception; one that cleans up and raises it again swallows nothing."""
    for path, tree in modules():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if not isinstance(node, ast.ExceptHandler) or ast.unparse(node.body[-1]) == "raise":
                    continue
                caught = set(re.findall(r"\w+", ast.unparse(node.type))) if node.type else {"BaseException"}
                if caught & {"Exception", "BaseException"}:
                    yield f"{path}::{function.name}"


def test_exception_is_caught_only_at_the_named_boundaries() -> None:
    assert set(broad_handlers()) == set(BROAD_HANDLERS)


# Types


def test_types_are_worked_out_under_the_lock_alone() -> None:
    """Two threads in which msgspec meets a type at the same moment end the process: see holychat/typed.py."""
    direct = re.compile(r"msgspec\.convert\(|msgspec\.(json|toml|msgpack|yaml)\.(Decoder\(|decode\([^)]*\btype=)")
    found = [str(path) for path, _ in modules() if direct.search((ROOT / path).read_text(encoding="utf-8"))]
    assert found == ["holychat/typed.py"]


# Project


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", text, flags=re.MULTILINE)
    assert versions[:1] == [holychat.__version__]


def test_the_readme_opens_with_a_picture_and_two_commands_of_one_line() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    picture = re.search(r"!\[[^\]]+\]\((screenshots/[^)]+)\)", text)
    assert picture is not None
    assert (ROOT / picture[1]).is_file()
    for name in ("start", "suite"):
        block = re.search(rf"<!-- {name}:begin -->\n```sh\n(.*?)```\n<!-- {name}:end -->", text, flags=re.DOTALL)
        assert block is not None, name
        assert len(block[1].strip().splitlines()) == 1
        assert block[1].startswith("python3 -m venv .venv && ")


def test_the_readme_speaks_of_commands_and_exit_statuses_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|\n|\| )holychat ([a-z]+)", text))
    assert named == set(COMMANDS)
    statuses = {
        int(number) for row in re.findall(r"^\| ([\d, ]+) \| ", text, re.MULTILINE) for number in row.split(",")
    }
    assert {int(code) for code in ExitCode} <= statuses


def test_the_readme_names_every_slash_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    line = re.search(r"^Slash commands in the composer: `([^`]+)`", text, flags=re.MULTILINE)
    assert line is not None
    assert line[1].split() == [f"/{command.name}" for command in slash.COMMANDS]


def test_a_source_archive_holds_everything_that_stands_at_the_top() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    listed = tool["hatch"]["build"]["targets"]["sdist"]["include"]
    assert sorted(listed) == ["CHANGELOG.md", "LICENSE", "README.md", "holychat", "screenshots", "tests"]
    assert all((ROOT / name).exists() for name in listed)


def test_nothing_in_the_repository_names_this_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a clone: an unpacked source archive has no list of tracked files")
    telling = ["files.python" + "hosted", f"{Path.home()}/", f"{ROOT}/"]
    found = []
    for name in listed.stdout.splitlines():
        if (file := ROOT / name).is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {word}" for word in telling if word in text]
    assert found == []
