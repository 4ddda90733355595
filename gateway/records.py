"""
Frozen dataclasses for what every request makes: frozen for the type checker, cheap to make.

The `__init__` of a frozen dataclass calls `object.__setattr__` for each field, which is two to
three times what a plain one takes; a request makes some twenty of them. What is declared here is
a frozen dataclass to the type checker, which holds everybody to it, and hashes as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    import dataclasses

    def record(*, frozen=False, **options):
        """`dataclasses.dataclass`, whose `frozen` is the type checker's."""
        return dataclasses.dataclass(unsafe_hash=frozen, **options)


__all__ = ["record"]
