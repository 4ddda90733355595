"""The house rules of docs/architecture.md, read off the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gateway"

VOCABULARY = {"message", "records", "identity", "errors", "caches", "keyring"}
MAY_IMPORT: dict[str, set[str]] = {
    "vocabulary": set(),
    "config": set(),
    "observe": set(),
    "state": set(),
    "s3": set(),
    "sigv4": {"s3"},
    "policy": {"config", "s3"},
    "oidc": {"config", "observe"},
    "sessions": {"config", "observe", "state"},
    "accesskeys": {"config", "s3"},
    "upstream": {"config", "observe", "s3", "policy"},
    "snapshot": {"config", "s3", "policy"},
    "server": {
        "config", "observe", "state", "s3", "sigv4", "policy", "oidc", "sessions", "accesskeys",
        "upstream", "snapshot",
    },
    "reload": {"config", "observe", "snapshot", "server"},
    "app": {
        "config", "observe", "state", "s3", "sigv4", "policy", "oidc", "sessions", "accesskeys",
        "upstream", "snapshot", "server", "reload",
    },
    "demo": {"config", "app"},
    "cli": {"*"},
    "__main__": {"cli"},
    "__init__": set(),
}  # fmt: skip
"""What a package may import besides itself and the vocabulary; no row lists one below it."""

IMPURE = {
    "aiohttp", "aiobotocore", "botocore", "asyncio", "socket", "ssl", "os", "time", "random",
    "secrets", "uuid", "logging", "subprocess", "sqlite3", "redis",
}  # fmt: skip
PURE = [
    "message", "records", "identity", "errors", "config.model", "config.section", "config.listeners",
    "config.people", "config.storage", "config.values", "config.positions",
    "config.validate", "config.checks", "config.policyfile", "observe.audit", "s3.*",
    "sigv4.*", "policy.*", "oidc.providers", "oidc.flow", "oidc.tokens", "oidc.keyset", "sessions.session",
    "accesskeys.*", "upstream.resolve", "snapshot", "server.respond", "server.limits",
    "server.browser",
]  # fmt: skip
DOORS: dict[str, list[str]] = {
    "aiobotocore": ["upstream.sdk"],
    "botocore": ["upstream.sdk"],
    "boto3": [],
    "joserfc": ["keyring", "oidc.*", "demo.idp"],
    "cryptography": ["keyring"],
    "pydantic": ["config.*", "policy.load", "server.*"],
    "yaml": ["config.positions"],
    "prometheus_client": ["observe.*"],
    "jinja2": ["server.pages"],
    "click": ["cli.*"],
    "sqlite3": ["state.*"],
    "redis": ["state.*"],
    "opentelemetry": ["observe.*"],
    "uvloop": ["cli.*"],
    "moto": ["demo.*"],
    "httptools": ["server.reader", "upstream.*"],
    "msgspec": ["records", "observe.audit", "sigv4.sign"],
    "awscrt": ["sigv4.*"],
    "aiohttp": ["server.*", "app", "demo.*", "oidc.calls", "upstream.*", "cli.*", "observe.*"],
}
"""One door a library, so that replacing it is a local change."""


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name below `gateway`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether only for types."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in typing_only
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) in typing_only


def package_of(name: str) -> str:
    head = name.split(".")[0]
    return "vocabulary" if head in VOCABULARY else head


def covered(name: str, patterns: list[str]) -> bool:
    return any(
        name == pattern or (pattern.endswith(".*") and (name + ".").startswith(pattern[:-1]))
        for pattern in patterns
    )


ALL = modules()


@pytest.mark.parametrize("name", ALL)
def test_imports_go_one_way(name):
    """Every import obeys the table of who may import whom, those for types included."""
    package = package_of(name)
    allowed = MAY_IMPORT[package]
    for target, _ in imports(ALL[name]):
        if not target.startswith("gateway.") or target == "gateway.__version__":
            continue
        other = package_of(target.removeprefix("gateway."))
        assert (
            other in (package, "vocabulary")
            or other in allowed
            or "*" in allowed
            or other == "__version__"
        ), f"{name} imports {target}"


@pytest.mark.parametrize("name", [name for name in ALL if covered(name, PURE)])
def test_pure_modules_do_not_meet_the_world(name):
    """Values in, values out: neither the network, the clock nor the process, not even for a moment."""
    pure = {n for n in ALL if covered(n, PURE)} | {"keyring", "caches"}
    for target, for_types in imports(ALL[name]):
        if for_types:
            continue
        assert target.split(".")[0] not in IMPURE, f"{name} imports {target}"
        if target.startswith("gateway."):
            short = target.removeprefix("gateway.")
            if short in ALL and short.count(".") >= 0:
                is_package = ALL[short].name == "__init__.py"
                assert short in pure or is_package, f"{name} imports {target}, which is not pure"


@pytest.mark.parametrize("library", DOORS)
def test_each_library_has_its_door(library):
    """A library is imported only where the table says."""
    for name, path in ALL.items():
        for target, _ in imports(path):
            if target.split(".")[0] == library:
                assert covered(name, DOORS[library]), f"{name} imports {target}"


def test_no_import_cycles():
    """No module reaches itself by the imports that run."""
    graph = {
        name: {
            target.removeprefix("gateway.")
            for target, for_types in imports(path)
            if not for_types
            and target.startswith("gateway.")
            and target.removeprefix("gateway.") in ALL
        }
        for name, path in ALL.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in graph[name]:
                if target != name:
                    visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_every_module_says_what_it_is_for():
    """A module's docstring is the answer to its one question."""
    for name, path in ALL.items():
        if path.stat().st_size:
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), name


def test_the_map_lists_exactly_the_modules_that_exist():
    """The tree in docs/architecture.md and the code agree."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    listed = set(re.findall(r"^ {2}([a-z_0-9/]+)\.py\b", text, re.MULTILINE))
    real = {
        "/".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in ALL.values()
        if path.name != "__init__.py"
    }
    real |= {f"{p}/__init__" for p in ("state", "upstream", "cli")}
    assert listed == real | ({"__init__"} & listed), sorted(listed ^ real)
