"""The errors. They are made in Python, so that every class shares one base and all of them can be pickled."""

from __future__ import annotations

import json
from typing import Any


class DevopserError(Exception):
    """What every call of this package fails with.

    `kind` is stable and never translated; an unknown kind keeps its name here.
    """

    def __init__(self, message: str, report: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self._report = report or {}
        self.kind: str = self._report.get("kind", "unexpected")
        self.provider: str | None = self._report.get("provider")
        self.operation: str | None = self._report.get("operation")
        self.remedy: str | None = self._report.get("remedy")
        self.context: dict[str, str] = dict(self._report.get("context") or [])

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, Any]]]:
        return type(self), (self.args[0], self._report)


class InvalidInputError(DevopserError):
    """A value that was given breaks a rule; the message names the field and the rule."""


class NotFoundError(DevopserError):
    """What was named is not there."""


_CLASSES: dict[str, type[DevopserError]] = {
    "invalid_input": InvalidInputError,
    "not_found": NotFoundError,
}


def error_from(text: str) -> DevopserError:
    """The error that the native half told as JSON."""
    try:
        report = json.loads(text)
    except ValueError:
        return DevopserError(text)
    message = report.get("message", text)
    if report.get("remedy"):
        message = f"{message}. {report['remedy']}"
    return _CLASSES.get(report.get("kind", ""), DevopserError)(message, report)
