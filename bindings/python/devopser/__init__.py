"""What a folder of source code is, and the files that build it."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, TypedDict

from . import _devopser
from ._errors import DevopserError, InvalidInputError, NotFoundError, error_from

__version__: str = _devopser.__version__
__all__ = [
    "DevopserError",
    "Generated",
    "InvalidInputError",
    "NotFoundError",
    "Stack",
    "detect",
    "explain",
    "generate",
]


class _Further(TypedDict, total=False):
    """What stands in an answer only where there is any."""

    pages: dict[str, Any]
    not_chosen: list[dict[str, Any]]
    service_answers: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    warnings: list[str]


class Stack(_Further):
    """What `detect` found. `None` where there is no answer."""

    runtime: str | None
    version: str | None
    framework: str | None
    package_manager: str | None
    install_command: str | None
    build_command: str | None
    start_command: str | None
    release_command: str | None
    health_path: str | None
    data_folders: list[str] | None
    port: int | None
    assumed_port: int | None
    databases: list[str] | None
    static: bool | None
    output_dir: str | None
    services: list[str] | None
    has_dockerfile: bool
    has_compose: bool
    confidence: int
    confidences: dict[str, int]
    evidence: dict[str, list[dict[str, Any]]]


class Generated(TypedDict):
    """The files that `generate` wrote; nothing is put on disk."""

    dockerfile: str
    own_dockerfile: str | None
    dockerignore: str
    compose: str
    port: int


def detect(path: str | os.PathLike[str]) -> Stack:
    """Tells what the folder holds. It reads files and runs nothing; other threads go on meanwhile.

    Raises `InvalidInputError` when the path is no folder.
    """
    return json.loads(_call(_devopser.detect, path))


def explain(path: str | os.PathLike[str]) -> str:
    """The same in words: what was found, what proves it, and why other stacks were not chosen."""
    return _call(_devopser.explain, path)


def generate(path: str | os.PathLike[str]) -> Generated:
    """The Dockerfile, the compose file and the `.dockerignore` for the folder.

    Raises `InvalidInputError` when nothing was recognised, or nothing says how to start it.
    """
    return json.loads(_call(_devopser.generate, path))


def _call(function: Callable[[str], str], path: str | os.PathLike[str]) -> str:
    try:
        return function(os.fspath(path))
    except _devopser.NativeError as error:
        raise error_from(str(error)) from None
