"""
Third-party browser modules of the file browser: fetched, checked, made to load without a build step.

`python scripts/vendor_ui.py` packs the versions pinned below with `npm pack`, compares each tarball with the
integrity recorded in versions.json (`--update` records new ones), copies the files named here with
their licences, rewrites bare imports to relative ones (an import map would have to be inline, which the
content security policy forbids) and drops source map lines.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "gateway" / "ui" / "static" / "vendor"

LANGUAGES = [
    "bash",
    "c",
    "cpp",
    "csharp",
    "css",
    "diff",
    "dockerfile",
    "go",
    "ini",
    "java",
    "javascript",
    "json",
    "kotlin",
    "lua",
    "makefile",
    "markdown",
    "nginx",
    "perl",
    "php",
    "powershell",
    "python",
    "r",
    "ruby",
    "rust",
    "scala",
    "sql",
    "swift",
    "typescript",
    "xml",
    "yaml",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One npm package at one version, and where its files go below vendor/."""

    name: str
    version: str
    files: dict[str, str]
    licence: str = "LICENSE"
    trees: dict[str, str] = field(default_factory=dict)
    """Whole folders of modules, copied flat: source folder to target folder."""
    skip: tuple[str, ...] = ()
    """Members of those folders that no browser can load."""


PACKAGES = (
    Package(
        name="preact",
        version="11.2.0",
        files={"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "hooks.js"},
    ),
    Package(
        name="@preact/signals-core",
        version="1.14.5",
        files={"dist/signals-core.module.js": "signals-core.js"},
    ),
    Package(
        name="@preact/signals", version="2.11.4", files={"dist/signals.module.js": "signals.js"}
    ),
    Package(name="htm", version="3.1.1", files={"dist/htm.module.js": "htm.js"}),
    Package(name="marked", version="18.2.1", files={"lib/marked.esm.js": "marked.js"}),
    Package(name="dompurify", version="3.4.18", files={"dist/purify.es.mjs": "purify.js"}),
    Package(
        name="@highlightjs/cdn-assets",
        version="11.12.0",
        files={
            "es/core.min.js": "hljs/core.js",
            **{f"es/languages/{name}.min.js": f"hljs/{name}.js" for name in LANGUAGES},
        },
    ),
    Package(
        name="hyparquet",
        version="1.31.5",
        files={},
        trees={"src": "hyparquet"},
        skip=("package/src/node.js",),
    ),
)

BARE_IMPORTS = {
    "preact": "./preact.js",
    "preact/hooks": "./hooks.js",
    "@preact/signals-core": "./signals-core.js",
}
SOURCE_MAP = re.compile(rb"^//# sourceMappingURL=.*$\n?", re.MULTILINE)


def rewritten(module: bytes) -> bytes:
    """The module as it is served: relative imports only, no pointer to a source map."""
    for bare, relative in BARE_IMPORTS.items():
        for quote in (b'"', b"'"):
            old = quote + bare.encode() + quote
            new = quote + relative.encode() + quote
            module = module.replace(b"from" + old, b"from" + new)
            module = module.replace(b"from " + old, b"from " + new)
    # One statement a line: the server finds what to preload by reading lines.
    for word in (b"import{", b"export{"):
        module = module.replace(b";" + word, b";\n" + word)
    return SOURCE_MAP.sub(b"", module)


def integrity_of(tarball: Path) -> str:
    digest = hashlib.sha512(tarball.read_bytes()).digest()
    return "sha512-" + base64.b64encode(digest).decode()


def packed(package: Package, folder: Path) -> Path:
    """The tarball of the pinned version, as the npm client fetches it."""
    answer = subprocess.run(
        ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / answer.stdout.strip().splitlines()[-1]


def chosen(package: Package, names: list[str]) -> dict[str, str]:
    """Which members of the tarball go where."""
    files = {f"package/{source}": target for source, target in package.files.items()}
    for source, target in package.trees.items():
        head = f"package/{source}/"
        files |= {
            name: f"{target}/{name.removeprefix(head)}"
            for name in names
            if name.startswith(head) and name.endswith(".js") and name not in package.skip
        }
    return files


def vendor(
    package: Package, folder: Path, known: dict[str, object], update: bool
) -> dict[str, object]:
    """Copies one package; the row that versions.json holds of it. Raises SystemExit on another integrity."""
    tarball = packed(package, folder)
    integrity = integrity_of(tarball)
    if not update and known.get("integrity") != integrity:
        raise SystemExit(
            f"{package.name} {package.version}: integrity is {integrity}, "
            f"versions.json says {known.get('integrity')}; --update accepts it"
        )
    hashes = {}
    with tarfile.open(tarball) as archive:
        for source, target in chosen(package, archive.getnames()).items():
            hashes[target] = write(target, rewritten(member(archive, source)))
        licence = f"licences/{package.name.replace('@', '').replace('/', '-')}.txt"
        hashes[licence] = write(licence, member(archive, f"package/{package.licence}"))
    return {
        "name": package.name,
        "version": package.version,
        "integrity": integrity,
        "licence": licence,
        "files": hashes,
    }


def member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise SystemExit(f"{name} is not a file of {archive.name}")
    return file.read()


def write(target: str, content: bytes) -> str:
    """Writes one vendored file; its SHA-256."""
    path = VENDOR / target
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--update", action="store_true", help="record the integrity of new versions"
    )
    update = parser.parse_args().update
    record = VENDOR / "versions.json"
    known = {}
    if record.exists():
        known = {row["name"]: row for row in json.loads(record.read_text())["packages"]}
    with tempfile.TemporaryDirectory() as name:
        rows = [vendor(p, Path(name), known.get(p.name, {}), update) for p in PACKAGES]
    record.write_text(json.dumps({"packages": rows}, indent=2) + "\n")
    print(
        f"{sum(len(row['files']) for row in rows)} files of {len(rows)} packages in {VENDOR.name}/"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
