"""Types of arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any, ClassVar, Protocol, TypeAlias
from uuid import UUID

from ._core import Event, Pattern


class Dataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Attrs(Protocol):
    """An instance of an attrs class."""

    __attrs_attrs__: ClassVar[Any]


class Model(Protocol):
    """A pydantic model."""

    def model_dump(self) -> dict[str, Any]:
        """Return the fields."""


EventLike: TypeAlias = (
    str | bytes | bytearray | memoryview | Mapping[str, Any] | Dataclass | Attrs | Model | Event
)
"""What is taken for an event."""

PatternLike: TypeAlias = str | Mapping[str, Any] | Pattern
"""What is taken for a pattern."""

Scalar: TypeAlias = (
    str
    | int
    | float
    | bool
    | Decimal
    | date
    | time
    | Enum
    | UUID
    | PurePath
    | IPv4Address
    | IPv6Address
    | IPv4Network
    | IPv6Network
    | None
)
"""A value with which fields are compared."""
