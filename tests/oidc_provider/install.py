"""
Installs npm's `oidc-provider` under build/: `python -m tests.oidc_provider.install`.

The lockfile pins every package by its hash; nothing of them is run on the way.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "build" / "oidc-provider"
FILES = ("package.json", "package-lock.json", "op.mjs")
SECONDS = 180


def missing() -> str:
    """Why the provider cannot be started; empty where it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        return "npm's oidc-provider is not installed: python -m tests.oidc_provider.install"
    return ""


def install() -> str:
    """Installs it where it is not there yet; why that did not work, or empty."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FOLDER / "package-lock.json"
    same = lock.exists() and lock.read_bytes() == (HERE / "package-lock.json").read_bytes()
    for name in FILES:
        shutil.copy(HERE / name, FOLDER / name)
    if same and not missing():
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=FOLDER, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return "npm did not finish"
    return "" if done.returncode == 0 else f"npm failed: {done.stderr[-300:]}"


if __name__ == "__main__":
    problem = install()
    print(problem or f"ready in {FOLDER.name}")
    sys.exit(1 if problem else 0)
