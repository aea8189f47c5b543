"""The rules of the house that a person would forget to check."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import sfumato

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "sfumato"
SOURCES = sorted(SRC.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

MAX_LINES = 500
MAX_LOOP_LINES = 60
NOISE_LEVELS = {"sigma", "sigmas", "timestep", "timesteps"}
WALKS = {"pairwise", "zip", "enumerate", "range", "tqdm", "track"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "picklescan"}
HEAVY = {"torch", "diffusers", "transformers", "accelerate", "scipy", "openvino"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def words(node: ast.AST) -> set[str]:
    """Every variable and attribute name below `node`, split at underscores and kept whole."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found |= {part.id, *part.id.split("_")}
        elif isinstance(part, ast.Attribute):
            found |= {part.attr, *part.attr.split("_")}
    return found


def walks_the_noise_levels(node: ast.AST) -> bool:
    """Whether a loop goes over sigmas or timesteps, directly or through pairwise, zip, enumerate or range."""
    if isinstance(node, ast.While):
        return bool(words(node.test) & NOISE_LEVELS)
    if not isinstance(node, ast.For | ast.AsyncFor):
        return False
    over = words(node.iter)
    return bool((over | words(node.target)) & NOISE_LEVELS) or ("grid" in over and bool(over & WALKS))


def test_there_is_one_loop_over_sigmas_and_it_is_short() -> None:
    loops = [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if walks_the_noise_levels(node)
    ]
    assert [name_of(path) for path, _ in loops] == ["src/sfumato/engine/loop.py"]
    path, loop = loops[0]
    functions = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.FunctionDef)]
    (home,) = [node for node in functions if loop in ast.walk(node)]
    assert home.end_lineno is not None
    assert home.end_lineno - home.lineno < MAX_LOOP_LINES


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("for i, (a, b) in enumerate(pairwise(sigmas)): pass", True),
        ("for i, t in enumerate(scheduler.timesteps): pass", True),
        ("for a, b in zip(grid[:-1], grid[1:]): pass", True),
        ("for i in range(len(plan.sigmas) - 1): pass", True),
        ("for sigma in levels: pass", True),
        ("while sigma > 0: pass", True),
        ("for row in grid: pass", False),
        ("for name in SPACINGS: pass", False),
    ],
)
def test_the_search_for_loops_finds_them(code: str, expected: bool) -> None:
    assert any(walks_the_noise_levels(node) for node in ast.walk(ast.parse(code))) is expected


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name_of)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.stem.startswith("__")], ids=name_of)
def test_every_source_file_has_its_test_file(path: Path) -> None:
    folder = ROOT / "tests" / path.relative_to(SRC).parent
    assert (folder / f"test_{path.stem.lstrip('_')}.py").is_file()


def test_no_file_is_a_drawer_for_everything() -> None:
    assert not [
        name_of(path) for path in SOURCES if path.stem in ("utils", "util", "helpers", "misc", "common")
    ]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_unpickled(path: Path) -> None:
    assert not imports(TREES[path]) & PICKLES
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("torch.load", "torch.save")
            assert not [
                key
                for key in node.keywords
                if key.arg == "allow_pickle" and ast.unparse(key.value) != "False"
            ]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_left_undone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b", text)


@pytest.mark.parametrize("path", [path for path in SOURCES if SRC / "cli" not in path.parents], ids=name_of)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [ast.unparse(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)]
    assert "print" not in calls
    assert not imports(TREES[path]) & {"tqdm", "rich", "typer"}


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_tests_use_the_real_thing(path: Path) -> None:
    assert "unittest" not in imports(ast.parse(path.read_text(encoding="utf-8")))


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["torch"], *extras["video"], *extras["studio"]]
    declared = {distribution(line) for line in wanted}
    homes = importlib.metadata.packages_distributions()
    for path, tree in TREES.items():
        for name in imports(tree) - sys.stdlib_module_names - {"sfumato"}:
            owners = {distribution(owner) for owner in homes.get(name, [])}
            assert owners & declared, f"{name_of(path)} imports {name}"


def test_every_path_named_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    folders = r"(?<![\w/.-])(?:src|tests|docs|recipes|examples)/[\w./-]*\w"
    files = r"\b(?:LICENSE|Makefile|[A-Z]+\.md|pyproject\.toml|constraints\.txt)\b"
    named = {*links, *re.findall(folders, text), *re.findall(files, text)}
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_constraints_pin_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {distribution(line) for line in lines if re.fullmatch(r"[\w.-]+==[\w.+]+", line)}
    assert len(pins) == len([line for line in lines if line and not line.startswith("#")])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for line in [
        *project["dependencies"],
        *extras["torch"],
        *extras["video"],
        *extras["studio"],
        *extras["dev"],
    ]:
        assert distribution(line) in pins


def test_importing_sfumato_loads_no_array_library() -> None:
    loaded = modules_after("import sfumato")
    assert not loaded & {*HEAVY, "numpy", "PIL", "pydantic"}


@pytest.mark.parametrize("arguments", [["--help"], ["generate", "--help"], ["--version"]])
def test_help_loads_no_torch(arguments: list[str]) -> None:
    loaded = modules_after(
        "from sfumato.cli import main\n"
        f"sys.argv = ['sfumato', *{arguments}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code"
    )
    assert not loaded & HEAVY


def test_every_public_name_is_there() -> None:
    for name in sfumato.__all__:
        assert vars(sfumato).get(name) is not None or sfumato.__getattr__(name) is not None
    assert set(sfumato.__all__) <= set(dir(sfumato))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sfumato.__getattr__("nothing")


def distribution(requirement: str) -> str:
    """Return the normalised name in `name>=1.0` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", requirement)[0]).lower()


def imports(tree: ast.AST) -> set[str]:
    """Top-level packages imported anywhere in `tree`, inside functions and TYPE_CHECKING blocks included."""
    return {name.partition(".")[0] for name in imported_modules(tree)}


def imported_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module


def modules_after(program: str) -> set[str]:
    """Run `program` in a fresh interpreter and return the top-level modules it loaded."""
    mark = "modules loaded:"
    code = f"import sys\n{program}\nprint({mark!r}, *sorted({{name.split('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition(mark)[2].split())
