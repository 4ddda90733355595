"""
What every request makes, as structs of msgspec: frozen, and made in C.

A request makes some twenty of them. The `__init__` of a frozen dataclass calls
`object.__setattr__` for each field, and takes ten times as long. What is made once, or
seldom, stays a dataclass. `replace` is here for them: that of `dataclasses` raises TypeError,
which the type checker does not see.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

__all__ = ["Record", "Struct", "field", "replace"]


class Record(Struct, frozen=True):
    """
    A frozen struct. A class made from it says `frozen=True` again, for the type checker.

    They stay in the sight of the garbage collector (`gc=False` would save little): an answer
    holds a body, and a body may hold whoever made it.
    """

    hidden: ClassVar[tuple[str, ...]] = ()
    """Fields that `repr` leaves out: secrets, and bodies."""

    def __repr__(self) -> str:
        shown = [name for name in self.__struct_fields__ if name not in self.hidden]
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({fields})"
