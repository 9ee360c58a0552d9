"""Calls of rules, executed with the official SDK of Alibaba Cloud.

    from alibabacloud_ecs20140526.client import Client
    from alibabacloud_tea_openapi.models import Config

    client = Client(Config(region_id="cn-hangzhou", …))

    @app.target("ecs")
    def ecs(action):
        return ra.alibaba.call(action, client, allow=["Describe*", "DeleteNetworkInterface"])

Works with the client of every product whose package has `client` and `models`
(`alibabacloud_ecs20140526`, `alibabacloud_vpc20160428`, …).
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import importlib
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._core import Action
from ._delivery import Answer

__all__ = ["call", "call_async"]

# Operations that change nothing, so that repeating one does no harm.
READING = ("Describe*", "Get*", "List*", "Query*")
# Pauses before further attempts, in seconds; each a little longer, by chance.
PAUSES = (0.5, 1.0, 2.0, 4.0)
# A token has at most 64 characters.
TOKEN_LENGTH = 64


def call(action: Action, client: Any, *, allow: Iterable[str] | None = None) -> Answer:
    """Execute a call of a rule with a client of the official SDK, and return its answer.

    `RegionId` is that of the client, and `ClientToken` made from the call and its event, where the
    operation has them and the rule gives none: a call that is repeated after a crash is not
    executed twice. An operation that only reads is tried again after an error of the network or the
    server, every operation after one of throttling; at most four times.

    Args:
        action: the call.
        client: the client of the product.
        allow: the operations that may be executed, with `*` for any text; by default all. The
            answer to another one has the code "NotAllowed".

    Returns:
        The response, or the error of the API with its status, code and message. If there was no
        response, the code is "OutcomeUnknown"; of an operation that only reads, "Undelivered".

    Raises:
        ValueError: if the action is not a call, or the client does not have the operation or one of
            the parameters.
    """
    prepared = _Prepared(action, client, allow)
    if prepared.refusal is not None:
        return prepared.refusal
    method = prepared.method("")
    for pause in (*PAUSES, None):
        try:
            return _answer(method(prepared.request, prepared.options()))
        except Exception as error:
            if pause is None or not prepared.is_repeatable(error):
                return prepared.answer_of(error)
        time.sleep(_jittered(pause))
    raise AssertionError("the last attempt has returned")


async def call_async(action: Action, client: Any, *, allow: Iterable[str] | None = None) -> Answer:
    """As `call`, with the coroutine functions of the SDK."""
    prepared = _Prepared(action, client, allow)
    if prepared.refusal is not None:
        return prepared.refusal
    method = prepared.method("_async")
    for pause in (*PAUSES, None):
        try:
            return _answer(await method(prepared.request, prepared.options()))
        except Exception as error:
            if pause is None or not prepared.is_repeatable(error):
                return prepared.answer_of(error)
        await asyncio.sleep(_jittered(pause))
    raise AssertionError("the last attempt has returned")


class _Prepared:
    """A call as a request of the SDK."""

    def __init__(self, action: Action, client: Any, allow: Iterable[str] | None) -> None:
        if action.operation is None or action.parameters is None:
            raise ValueError(f"expected a call, found an action of the kind {action.kind!r}")
        self._client = client
        self._operation = action.operation
        self._reads = any(fnmatch.fnmatchcase(self._operation, name) for name in READING)
        self.refusal: Answer | None = None
        if allow is not None and not any(fnmatch.fnmatchcase(self._operation, n) for n in allow):
            message = f"{self._operation} is not among the operations that are allowed"
            self.refusal = Answer(code="NotAllowed", message=message)
            return
        self._name = _method_name(client, self._operation)
        self.request = self._read_request(action)

    def method(self, suffix: str) -> Callable[..., Any]:
        """The method of the operation, synchronous or with `_async`."""
        method: Callable[..., Any] = getattr(self._client, f"{self._name}_with_options{suffix}")
        return method

    def options(self) -> Any:
        """Options of one attempt: without the repetitions of the SDK."""
        # Where the class is has changed with versions of the SDK; the module of the client uses it.
        module = importlib.import_module(type(self._client).__module__)
        for holder in (module, getattr(module, "util_models", None)):
            options = getattr(holder, "RuntimeOptions", None)
            if options is not None:
                return options(autoretry=False)
        raise ValueError(f"{type(self._client).__module__} is not a client of the official SDK")

    def is_repeatable(self, error: Exception) -> bool:
        """Whether another attempt may succeed and does no harm."""
        code, status = _code(error), _status(error)
        if code is not None and code.startswith("Throttling"):
            return True
        return self._reads and (status is None or status >= 500)

    def answer_of(self, error: Exception) -> Answer:
        """The answer of an API that refused, or of none."""
        code, status = _code(error), _status(error)
        message = str(getattr(error, "message", None) or error)
        if code is not None and status is not None:
            return Answer(status=status, code=code, message=message)
        unknown = "Undelivered" if self._reads else "OutcomeUnknown"
        return Answer(code=unknown, message=f"{type(error).__name__}: {message}")

    def _read_request(self, action: Action) -> Any:
        package = type(self._client).__module__.rpartition(".")[0]
        models = importlib.import_module(f"{package}.models")
        model = getattr(models, f"{self._operation}Request", None)
        if model is None:
            raise ValueError(f"{package} has no request of the operation {self._operation!r}")
        parameters = dict(action.parameters or {})
        request = model().from_map(parameters)
        # The SDK ignores what it does not know, which could be the filter of a deletion.
        unknown = sorted(_missing(parameters, request.to_map()))
        if unknown:
            raise ValueError(f"{self._operation} has no parameter {', '.join(unknown)}")
        if getattr(request, "region_id", "") is None:
            request.region_id = getattr(self._client, "_region_id", None)
        if getattr(request, "client_token", "") is None:
            (text,) = action.__reduce__()[1]
            request.client_token = hashlib.sha256(text.encode()).hexdigest()[:TOKEN_LENGTH]
        return request


def _method_name(client: Any, operation: str) -> str:
    """The method of an operation: `describe_network_interfaces` for `DescribeNetworkInterfaces`."""
    # Compared without underscores: `AssignIpv6Addresses` is `assign_ipv_6addresses`.
    wanted = operation.lower()
    for name in dir(client):
        if name.endswith("_with_options"):
            short = name[: -len("_with_options")]
            if short.replace("_", "") == wanted:
                return short
    kind = type(client).__module__
    raise ValueError(f"{kind} has no operation {operation!r}; is it the client of the product?")


def _missing(given: Any, known: Any, path: str = "") -> set[str]:
    """The paths of `given` that are not in `known`."""
    if isinstance(given, Mapping):
        if not isinstance(known, Mapping):
            return {path}
        found: set[str] = set()
        for key, value in given.items():
            inner = f"{path}.{key}" if path else str(key)
            found |= _missing(value, known[key], inner) if key in known else {inner}
        return found
    if isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        pairs = enumerate(zip(given, known, strict=True))
        return set().union(*(_missing(a, b, f"{path}[{at}]") for at, (a, b) in pairs))
    return set()


def _answer(response: Any) -> Answer:
    return Answer(body=response)


def _code(error: Exception) -> str | None:
    code = getattr(error, "code", None)
    return code if isinstance(code, str) and code else None


def _status(error: Exception) -> int | None:
    data = getattr(error, "data", None)
    found = getattr(error, "status_code", None) or getattr(error, "statusCode", None)
    if found is None and isinstance(data, Mapping):
        found = data.get("statusCode")
    try:
        status = int(found) if found is not None else None
    except (TypeError, ValueError):
        return None
    return status if status is not None and 100 <= status < 600 else None


def _jittered(pause: float) -> float:
    return pause * (1 + random.random() / 4)
