"""
The operator's files from disk: gateway.yaml, the secrets it refers to, the policy files it names.

Nothing raises for what is wrong in them: problems are gathered, those of the policies' own
language are added when the snapshot is built, and then all are told at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from gateway.config.model import Config, Loaded, Section
from gateway.config.positions import Document, Mark, Problem, did_you_mean, read
from gateway.config.validate import validate
from gateway.config.values import Resolved

SECRET_FILE_MAX = 64 * 1024  # bytes of a file that a value refers to
POLICY_FILES_MAX = 1000

_REFERENCE = re.compile(r"\$\{(env|file):([^{}]*)\}")
_OTHER = re.compile(r"\$\{(?!claims\.|bucket\})([A-Za-z_]*)[^}]*\}?")
_MUST_EXIST = ("certificate", "key", "ca", "token_file")
_STAND_IN = "0a1b2c3d4e5f6g7h8i9j-not-there-0a1b2c3d4e5f6g7h8i9j"
"""In place of a reference that failed, so that the rest is checked and told as well."""


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Loaded:
    """
    What the file and all that it names hold. Relative paths start from its folder.

    `environ` stands for the process's environment in `${env:NAME}`.
    """
    path = Path(path)
    content, problem = _content(path)
    if problem is not None:
        empty = Document(file=str(path), values=None, mark=Mark(1, 1))
        return Loaded(config=None, document=empty, files=(path,), problems=(problem,))
    document = read(content, str(path))
    references = _References(document, path.parent, os.environ if environ is None else environ)
    document = references.resolved()
    readable = not document.problems or document.values is not None
    config, problems = (
        validate(Config, document, context={"base": path.parent}) if readable else (None, [])
    )
    policies, policy_files, missing = _policies(config, document, path.parent)
    failed = {(found.line, found.column) for found in references.problems}
    return Loaded(
        config=config,
        document=document,
        policies=tuple(policies),
        files=(path, *references.files, *policy_files),
        problems=(
            *document.problems,
            *references.problems,
            *(found for found in problems if (found.line, found.column) not in failed),
            *missing,
            *_files_named(config, document),
        ),
    )


def _files_named(config: Config | None, document: Document) -> Iterator[Problem]:
    """Certificates and the like, which are opened later by others: told now where they are not there."""
    for path, file in _files_in(config, ()) if config is not None else ():
        if not file.is_file() and path[-1] in _MUST_EXIST:
            yield document.problem(path, f"there is no file {file}")


def _files_in(section: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, Path]]:
    if isinstance(section, Path):
        yield path, section
    elif isinstance(section, Section):
        for name in type(section).model_fields:
            yield from _files_in(getattr(section, name), (*path, name))
    elif isinstance(section, dict):
        for key, value in section.items():
            yield from _files_in(value, (*path, key))
    elif isinstance(section, tuple):
        for place, value in enumerate(section):
            yield from _files_in(value, (*path, place))


def _content(path: Path) -> tuple[bytes, Problem | None]:
    try:
        return path.read_bytes(), None
    except OSError as error:
        return b"", Problem(str(path), 1, 1, "", f"the file cannot be read: {error.strerror}")


@final
@dataclass(slots=True)
class _References:
    """Puts what `${env:NAME}` and `${file:PATH}` stand for into a document's values."""

    document: Document
    base: Path
    environ: Mapping[str, str]
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def resolved(self) -> Document:
        return Document(
            file=self.document.file,
            values=self._walk(self.document.values, ()),
            mark=self.document.mark,
            problems=self.document.problems,
        )

    def _walk(self, value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self._walk(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._walk(inner, (*path, place)) for place, inner in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return self._text(value, path)
        return value

    def _text(self, value: str, path: tuple[str | int, ...]) -> str:
        wrong = _OTHER.search(_REFERENCE.sub("", value))
        if wrong is not None:
            close = did_you_mean(wrong[1], ("env", "file", "claims", "bucket"))
            known = "${env:NAME}, ${file:PATH}, ${claims.NAME} and ${bucket}"
            self._problem(path, f"there are {known}, and no other references{close}")
            return Resolved(_STAND_IN)
        if not _REFERENCE.search(value):
            return value
        before = len(self.problems)
        text = _REFERENCE.sub(lambda found: self._one(found[1], found[2], path), value)
        # One failed reference says enough: the rest of the text is not judged.
        return Resolved(text if len(self.problems) == before else _STAND_IN)

    def _one(self, kind: str, name: str, path: tuple[str | int, ...]) -> str:
        if kind == "env":
            found = self.environ.get(name)
            if found is None:
                self._problem(path, f"the environment variable {name} is not set")
            return found or ""
        file = self.base / name
        self.files.append(file)
        content, problem = _content(file)
        if problem is not None:
            self._problem(path, f"{name}: {problem.message}")
            return ""
        if len(content) > SECRET_FILE_MAX:
            self._problem(path, f"{name}: the file is larger than {SECRET_FILE_MAX} bytes")
            return ""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            self._problem(path, f"{name}: the file is not UTF-8 text")
            return ""
        return text.removesuffix("\n").removesuffix("\r")

    def _problem(self, path: tuple[str | int, ...], message: str) -> None:
        self.problems.append(self.document.problem(path, message))


_ONE_FILE = re.compile(r"[^*?\[]+")
"""A pattern that names one file."""


def _policies(
    config: Config | None, document: Document, base: Path
) -> tuple[list[Document], list[Path], list[Problem]]:
    """The policy files that the patterns name, each once, and what could not be found."""
    documents: list[Document] = []
    files: dict[Path, None] = {}
    watched: dict[Path, None] = {}
    problems: list[Problem] = []
    for place, pattern in _patterns(config, document):
        try:
            found = (
                sorted(base.glob(pattern)) if not Path(pattern).is_absolute() else _rooted(pattern)
            )
        except (ValueError, NotImplementedError) as error:
            problems.append(document.problem(place, f"this is not a pattern of files: {error}"))
            continue
        found = [file for file in found if file.is_file() and not file.name.startswith(".")]
        if not found:
            problems.append(
                document.problem(place, f"no file matches {pattern}: the policy is empty")
            )
        files.update(dict.fromkeys(found))
        # A folder changes when a file is added to it, for which only a pattern of several files
        # looks: others may hold the state store or the audit log, and change all the time.
        if _ONE_FILE.fullmatch(pattern):
            watched[base / pattern] = None
        else:
            folders = (file.parent for file in found) if found else [(base / pattern).parent]
            watched.update(dict.fromkeys(folders))
    if len(files) > POLICY_FILES_MAX:
        problems.append(
            document.problem(("policies",), f"more than {POLICY_FILES_MAX} policy files")
        )
        return [], [], problems
    for file in files:
        content, problem = _content(file)
        if problem is not None:
            problems.append(problem)
        else:
            documents.append(read(content, str(file)))
    return documents, list({**files, **watched}), problems


def _rooted(pattern: str) -> list[Path]:
    path = Path(pattern)
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _patterns(
    config: Config | None, document: Document
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """From the document where it does not make a configuration: its policies are checked all the same."""
    given = config.policies if config is not None else _raw(document)
    for place, pattern in enumerate(given):
        yield ("policies", place), pattern


def _raw(document: Document) -> list[str]:
    values = document.values
    listed = values.get("policies") if isinstance(values, dict) else None
    if not isinstance(listed, list):
        return ["policies/*.yaml"]
    return [pattern for pattern in listed if isinstance(pattern, str)]
