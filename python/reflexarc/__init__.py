"""Cloud events to reactions: filters modelled on EventBridge event patterns, sandboxed reactions, in process.

>>> import reflexarc as ra
>>> failed = ra.Pattern('content.result == "failed"')
>>> failed.matches({"content": {"result": "failed"}})
True

Events may be given as JSON text (`str` or `bytes`), as `dict`, or as `Event`. What Python values mean:

====================================  ==========================================================
`None`, `bool`, `str`                 as in JSON
`int` of any size                     its digits, never rounded
`float`                               the shortest decimal that reads back as it; NaN and infinities are errors
`decimal.Decimal`                     its exact value; NaN and infinities are errors
`datetime`, `date`, `time`            the text of `isoformat()`
`enum.Enum`                           its value
`list`, `tuple`                       an array
`dict` and other mappings             an object; a key that is not text is an error
====================================  ==========================================================

That is what `Event` checks of a whole dict; matching looks at a dict only along the paths of the patterns.

Everything raised is an `Error`; patterns, rule sets, events and everything they return are immutable and safe to
share between threads. The compiled part declares that it needs no interpreter lock (tested with the lock only: no
free-threaded Python was to be had); a subinterpreter that imports the package gets an `ImportError`.
"""

from ._core import (
    Action,
    Diagnostic,
    EniNotification,
    Error,
    Evaluation,
    Event,
    EventError,
    Explanation,
    Failure,
    InternalError,
    Pattern,
    PatternError,
    ReactionError,
    Rule,
    RuleError,
    RuleSet,
    RuleTest,
    State,
    StateError,
    __version__,
)

__all__ = [
    "Action",
    "Diagnostic",
    "EniNotification",
    "Error",
    "Evaluation",
    "Event",
    "EventError",
    "Explanation",
    "Failure",
    "InternalError",
    "Pattern",
    "PatternError",
    "ReactionError",
    "Rule",
    "RuleError",
    "RuleSet",
    "RuleTest",
    "State",
    "StateError",
    "__version__",
]
