"""
Renders the reference pages of docs/ from the code: `python docs/generate.py`, or `--check` to only compare.

Pages: every setting, policy key, operation, error, reason, metric, route and command; and the map
of modules in docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_origin

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NOTE = "<!-- Made by docs/generate.py from the code. Change the code, then run `make docs`. -->\n\n"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


# The map of modules


def module_map() -> str:
    package = ROOT / "gateway"
    lines = []
    order = ["", "config", "s3", "sigv4", "policy", "oidc", "sessions", "accesskeys", "state",
             "upstream", "observe", "server", "cli", "demo"]  # fmt: skip
    for folder in order:
        for path in sorted((package / folder).glob("*.py")):
            relative = path.relative_to(package)
            if path.name == "__init__.py" and folder not in ("state", "upstream", "cli", ""):
                continue
            if path.name == "__init__.py" and folder == "":
                continue
            lines.append(f"  {relative!s:28} {first_sentence(path)}")
        lines.append("")
    return "```\ngateway/\n" + "\n".join(lines).rstrip() + "\n```\n"


def first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


# Settings


def configuration() -> str:
    from gateway.config.model import Config

    out = [
        "# gateway.yaml\n",
        NOTE,
        "`${env:NAME}` and `${file:PATH}` stand for text anywhere in a string. "
        "Durations are `30s`, `10m`, `12h`, `7d`; sizes `8MiB`, `1GB`.\n",
    ]
    return "".join(out) + described(Config)


def policy() -> str:
    from gateway.config.policyfile import PolicyFile

    return (
        "# Policy files\n\n" + NOTE + "The language by task: [policies](../policies.md).\n"
        + described(PolicyFile)
    )  # fmt: skip


def described(top: Any) -> str:
    """Every section of a file and every key in it."""
    from gateway.config.described import describe

    describe()
    out = []
    for name, model, doc in sections(top, ""):
        out.append(f"\n## {name}\n\n{doc}\n")
        rows = []
        for field, info in model.model_fields.items():
            rows.append(
                [f"`{field}`", shown_type(info.annotation), default(info), info.description or ""]
            )
        out.append("\n" + table(["key", "value", "default", "meaning"], rows))
    return "".join(out)


def sections(model: Any, prefix: str) -> Iterator[tuple[str, Any, str]]:
    from pydantic import BaseModel

    doc = " ".join((model.__doc__ or "").split())
    yield prefix or "The file", model, doc
    for field, info in model.model_fields.items():
        for part in models_in(info.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                name = f"{prefix}.{field}" if prefix else field
                variants = models_in(info.annotation)
                if len(variants) > 1:
                    kind = part.model_fields["type"]
                    label = (get_args(kind.annotation) or ("?",))[0]
                    name = f"{name}, type: {label}"
                yield from sections(part, name)


def models_in(annotation: Any) -> list[Any]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    found: list[Any] = []
    for part in get_args(annotation):
        found += [m for m in models_in(part) if m not in found]
    return found


def shown_type(annotation: Any) -> str:
    text = str(annotation)
    origin = get_origin(annotation)
    if origin is not None and str(origin) == "typing.Literal":
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    names = {
        "timedelta": "duration", "Secret": "secret", "bool": "`true`, `false`", "Address": "address",
        "float": "number", "int": "whole number", "Path": "file", "str": "text", "Any": "value",
    }  # fmt: skip
    if "Literal[" in text and "Annotated" not in text:
        values = re.findall(r"'([^']*)'", text)
        return ", ".join(f"`{value}`" for value in values) + (
            " or a number" if "int" in text else ""
        )
    if models_in(annotation):
        many = "tuple" in text or "dict" in text
        return "list of sections" if "tuple" in text else "sections by name" if many else "section"
    for key, word in names.items():
        if re.search(rf"\b{key}\b", text):
            return (
                f"list of {word}"
                if "tuple[" in text
                else f"{word} by name"
                if "dict[" in text
                else word
            )
    return "text"


def default(info: Any) -> str:
    if info.is_required():
        return "**required**"
    value = info.default
    if value is None:
        return ""
    if info.default_factory is not None or models_in(info.annotation):
        return ""
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
            if seconds and seconds % size == 0:
                return f"`{seconds // size}{unit}`"
        return f"`{seconds}s`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    if isinstance(value, dict):
        return ""
    return f"`{value}`" if value != "" else '`""`'


# Tables of the code


def operations() -> str:
    from gateway.s3.operations import OPERATIONS, VERBS

    rows = []
    for op in sorted(OPERATIONS.values(), key=lambda row: row.name):
        actions = ", ".join(f"`{need.action}`" for need in op.needs) or "none"
        carried = "never" if op.never else "yes" if op.prefixed else "whole buckets only"
        verbs = [
            verb
            for verb, held in VERBS.items()
            if op.needs and all(n.action in held for n in op.needs)
        ]
        rows.append([op.name, op.method, actions, ", ".join(verbs), carried])
    verbs = "".join(
        f"- **{verb}**: " + ", ".join(f"`{a}`" for a in sorted(held)) + "\n"
        for verb, held in VERBS.items()
    )
    return (
        "# Operations\n\n" + NOTE + "What is not in this table is refused with `501 NotImplemented`.\n\n"
        "## Verbs\n\n" + verbs + "\n## Table\n\n"
        + table(["operation", "method", "needs", "given by", "under a prefix"], rows)
    )  # fmt: skip


def errors() -> str:
    from gateway.s3.errors import ROWS

    rows = [
        [f"`{r.code}`", str(r.status), r.message]
        for r in sorted(ROWS.values(), key=lambda r: r.code)
    ]
    return (
        "# S3 errors of the gateway's own\n\n" + NOTE + table(["code", "status", "message"], rows)
    )


def reasons() -> str:
    from gateway.errors import REASONS

    rows = [[f"`{r.code}`", r.sentence, r.acts.value] for r in REASONS.values()]
    return (
        "# Reasons\n\n" + NOTE
        + "The same code stands in the audit line, the log, the explanation and on the error page.\n\n"
        + table(["code", "sentence", "who can mend it"], rows)
    )  # fmt: skip


def metrics() -> str:
    from gateway.observe.metrics import TABLE

    rows = [
        [f"`{name}`", ", ".join(f"`{x}`" for x in m.labels), m.text] for name, m in TABLE.items()
    ]
    return "# Metrics\n\n" + NOTE + table(["metric", "labels", "meaning"], rows)


def api() -> str:
    import tempfile

    from gateway.app import App
    from gateway.demo.world import write_files

    with tempfile.TemporaryDirectory() as folder:
        app = App(
            write_files(
                Path(folder),
                listen="127.0.0.1:8080",
                url="http://127.0.0.1:8080",
                issuer="http://127.0.0.1:8081/pool",
                client_id="client",
                client_secret="not-used-for-the-reference",
                s3="http://127.0.0.1:8082",
            )
        )
        app.audit.close()
    rows = [
        [f"`{r.method} {r.path}`", r.who.value, r.summary] for r in app.routes.rows if not r.page
    ]
    return (
        "# The API\n\n" + NOTE + "Bodies are JSON; errors are `application/problem+json` (RFC 9457). "
        "`GET /api/openapi.json` describes all of it for programs.\n\n"
        + table(["route", "for", "what it does"], rows)
    )  # fmt: skip


def commands() -> str:
    import click

    from gateway.cli import tree

    out = [
        "# Commands\n\n",
        NOTE,
        "Exit codes: 0 done, 1 the input is wrong, 2 wrong usage, 3 something outside failed.\n",
    ]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=name.split()[-1], parent=parent)
        context.max_content_width = 100
        context.terminal_width = 100
        out.append(f"\n## {name}\n\n```\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for sub in command.list_commands(context):
                found = command.get_command(context, sub)
                if found is not None and not found.hidden:
                    add(found, f"{name} {sub}", context)

    add(tree, "gateway", None)
    return "".join(out)


PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": configuration,
    "reference/policy.md": policy,
    "reference/operations.md": operations,
    "reference/errors.md": errors,
    "reference/reasons.md": reasons,
    "reference/metrics.md": metrics,
    "reference/api.md": api,
    "reference/commands.md": commands,
}


def rendered() -> dict[Path, str]:
    pages = {DOCS / name: page().rstrip() + "\n" for name, page in PAGES.items()}
    architecture = DOCS / "architecture.md"
    text = architecture.read_text("utf-8")
    before, _, rest = text.partition("<!-- map -->\n")
    _, _, after = rest.partition("<!-- /map -->")
    pages[architecture] = f"{before}<!-- map -->\n{module_map()}<!-- /map -->{after}"
    return pages


def main() -> int:
    stale = []
    for path, text in rendered().items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(path)
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    for path in stale:
        print(
            ("not current: " if "--check" in sys.argv else "written: ")
            + str(path.relative_to(ROOT))
        )
    if stale and "--check" in sys.argv:
        print("run `make docs`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
