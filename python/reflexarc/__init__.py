"""Cloud events to reactions: EventBridge-style event patterns and sandboxed reactions, in process.

>>> import reflexarc as ra
>>> failed = ra.Pattern('content.result == "failed"')
>>> failed.matches({"content": {"result": "failed"}})
True

Events are passed as JSON text (`str` or `bytes`), `dict` or `Event`. Python values are converted to
JSON as follows:

==================================  ============================================================
`None`, `bool`, `str`               the same in JSON
`int` of any size                   its digits, never rounded
`float`                             the shortest decimal that reads back as the same float
`decimal.Decimal`                   its exact value
`datetime`, `date`, `time`          the text of `isoformat()`
`enum.Enum`                         its value
`uuid`, `ipaddress`, `pathlib`      the text of `str()`
numpy scalars and arrays            as the Python values
`list`, `tuple`                     an array
`dict` and other mappings           an object; keys must be strings
dataclass, attrs, pydantic          an object of its fields
==================================  ============================================================

NaN, infinities and other types are errors that name the path of the value; the argument `default`
replaces values of other types, as for `json.dumps`. `Event` checks a whole dict; matching reads and
checks only the values at the paths of the patterns.

Patterns are also built from conditions, without text into which values could put operators:

>>> pattern = (ra.field("content.result") == "failed") & ra.field("content.eniId").exists()
>>> pattern
Pattern('content.result == "failed" and content.eniId exists')

Rules with a time window (`count`, `followed_by`, `not_followed_by`, `absent_for`, `batch`) react to
several events, or because one has not come. Each evaluation returns the state to pass to the next
one, and `RuleSet.fire_due` fires what is due when no event comes; `State.due()` says when that is.

A rule may call an API: an action of the kind "call" has `operation` and `parameters`. The program
executes it, for example with the official SDK, and `RuleSet.answer` gives the answer back to the
rule: `rules.answer(call, body=response, state=state)`.

Lines that scripts log and reactions that fail go to the logger `reflexarc.rules` of `logging`.

All exceptions derive from `Error`. Patterns, rule sets, events and all results are immutable and
can be shared between threads. The extension module declares that it does not need the interpreter
lock, but has not been tested on a free-threaded build. Importing the package in a subinterpreter
raises `ImportError`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._core import (
    Action,
    Cancellation,
    Deadline,
    Diagnostic,
    DueEvaluation,
    EniNotification,
    Evaluation,
    EvaluationIterator,
    Event,
    Explanation,
    Failure,
    Match,
    MatchFiring,
    Pattern,
    Receipt,
    Rule,
    RuleSet,
    RuleTest,
    State,
    StateFile,
    Targets,
    __version__,
    quote,
)
from ._errors import (
    ConfigError,
    Error,
    EventError,
    InternalError,
    PatternError,
    ReactionError,
    RuleError,
    StateError,
    UndecidedError,
)
from ._types import EventLike, PatternLike, Scalar
from .fields import Condition, Field, all_of, any_of, field, value

if TYPE_CHECKING:
    from . import alibaba, sources
    from . import arrow as arrow
    from . import polars as polars
    from ._dead_letters import DeadLetter
    from ._delivery import Answer, DeliveryError
    from ._run import Summary
    from ._state_store import StateStore
    from .automation import Automation

__all__ = [
    "Action",
    "Answer",
    "Automation",
    "Cancellation",
    "Condition",
    "ConfigError",
    "DeadLetter",
    "Deadline",
    "DeliveryError",
    "Diagnostic",
    "DueEvaluation",
    "EniNotification",
    "Error",
    "Evaluation",
    "EvaluationIterator",
    "Event",
    "EventError",
    "EventLike",
    "Explanation",
    "Failure",
    "Field",
    "InternalError",
    "Match",
    "MatchFiring",
    "Pattern",
    "PatternError",
    "PatternLike",
    "ReactionError",
    "Receipt",
    "Rule",
    "RuleError",
    "RuleSet",
    "RuleTest",
    "Scalar",
    "State",
    "StateError",
    "StateFile",
    "StateStore",
    "Summary",
    "Targets",
    "UndecidedError",
    "__version__",
    "alibaba",
    "all_of",
    "any_of",
    "field",
    "quote",
    "sources",
    "value",
]

# Imported when they are used: matching needs none of it, nor asyncio. `arrow` and `polars` need
# packages that are not always there, so `from reflexarc import *` leaves them out.
_LAZY = {
    "Answer": "._delivery",
    "Automation": ".automation",
    "DeadLetter": "._dead_letters",
    "DeliveryError": "._delivery",
    "StateStore": "._state_store",
    "Summary": "._run",
    "alibaba": ".alibaba",
    "arrow": ".arrow",
    "polars": ".polars",
    "sources": ".sources",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name], __name__)
    # Importing a module has set it as an attribute; a class is kept here.
    value = module if _LAZY[name] == f".{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
