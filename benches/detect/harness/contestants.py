"""Who takes part: what each one is run with, which fields it has answers for, and how its answers are read."""

import json
import re
import subprocess
from pathlib import Path

from . import nixpacks

HERE = Path(__file__).resolve().parent.parent
EVERY_FIELD = frozenset(
    "runtime framework package_manager start_command port databases static version output_dir services".split()
)
# No folder of a run may hold it up for longer, in seconds.
TIME_LIMIT = 120


class Devopser:
    """devopser itself: the command, and the example program of the library for times inside one process."""

    key, title, answers, in_process = "devopser", "devopser", EVERY_FIELD, True

    def __init__(self, command, example):
        self.program, self.example = str(command), str(example)

    def version(self):
        """As the command tells it."""
        return _last_word(_output([self.program, "--version"]))

    def command(self, folder):
        """The whole process that is timed."""
        return [self.program, "detect", "--json", str(folder)]

    def answer_all(self, folders):
        """The answer for each folder, {} where there is none."""
        return [_object(_output(self.command(folder))) for folder in folders]

    def bench(self, folders, passes):
        """The mean over the folders of each one's fastest pass inside one process that has seen them before, in ms."""
        return _object(_output([self.example, "--bench-warm", str(passes), *map(str, folders)])).get("mean_ms")


class NpmPeer:
    """A package from npm, run by its adapter."""

    in_process = True

    def __init__(self, key, package, answers):
        self.key, self.title, self.package, self.answers = key, package, package, frozenset(answers.split())
        self.runner = ["node", str(HERE / "adapters" / "run.mjs"), key]

    def version(self):
        """Of the installed package."""
        manifest = HERE / "node_modules" / self.package / "package.json"
        return json.loads(manifest.read_text(encoding="utf-8"))["version"]

    def command(self, folder):
        """The whole process that is timed."""
        return [*self.runner, str(folder)]

    def answer_all(self, folders):
        """The answer for each folder, {} where there is none; one process for all of them."""
        lines = (_object(line) for line in _output([*self.runner, *map(str, folders)], len(folders)).splitlines())
        by_folder = {line.get("folder"): line.get("answer") for line in lines}
        return [by_folder.get(str(folder)) or {} for folder in folders]

    def bench(self, folders, passes):
        """The mean over the folders of each one's fastest pass inside one process that has seen them before, in ms."""
        argv = [*self.runner, "--bench", str(passes), *map(str, folders)]
        return _object(_output(argv, len(folders) * (passes + 1))).get("mean_ms")


class Nixpacks:
    """The command of the crate; its library is not linked, so it has no time inside one process."""

    key, title, answers, in_process = "nixpacks", "nixpacks", nixpacks.ANSWERS, False

    def __init__(self, program=HERE / ".tools" / "bin" / "nixpacks"):
        self.program = str(program)

    def version(self):
        """As the command tells it."""
        return _last_word(_output([self.program, "--version"]))

    def command(self, folder):
        """The whole process that is timed."""
        return [self.program, "plan", "--format", "json", str(folder)]

    def answer_all(self, folders):
        """The answer for each folder, {} where there is none."""
        return [self._answer(folder) for folder in folders]

    def _answer(self, folder):
        plan = _object(_output(self.command(folder)))
        return nixpacks.normalise(plan, _output([self.program, "detect", str(folder)]))


def everyone(devopser, example):
    """All contestants, in the order of the table."""
    return [
        Devopser(devopser, example),
        Nixpacks(),
        NpmPeer("netlify", "@netlify/build-info", "runtime framework package_manager output_dir services"),
        NpmPeer("vercel", "@vercel/fs-detectors", "runtime framework package_manager output_dir services"),
        NpmPeer("specfy", "@specfy/stack-analyser", "runtime framework package_manager databases"),
    ]


def _output(argv, times=1):
    """What a command prints; nothing when it fails, which is no answer."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TIME_LIMIT * times, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode("utf-8", "replace")


def _object(text):
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _last_word(text):
    words = re.findall(r"\S+", text)
    return words[-1] if words else "unknown"
