"""Compares answers with labels. README.md tells the rules."""

import re

from . import names

FIELDS = (
    "runtime",
    "framework",
    "package_manager",
    "start_command",
    "port",
    "databases",
    "static",
    "version",
    "output_dir",
)
# Of these the number before the first dot names a release line; of every other runtime the first two numbers do.
MAJOR_ONLY = {"node", "bun", "deno", "java", "dotnet"}


class Tally:
    """How many labels there were, how many were answered, and how many answers were right."""

    def __init__(self, labelled=0, answered=0, correct=0):
        self.labelled, self.answered, self.correct = labelled, answered, correct

    def accuracy(self):
        """Right answers in percent of the labels, or None without a label."""
        return 100 * self.correct / self.labelled if self.labelled else None

    def precision(self):
        """Right answers in percent of the answers, or None without an answer."""
        return 100 * self.correct / self.answered if self.answered else None


def score(pairs):
    """The tallies of `(label, answer)` pairs by field; "services" counts directories, not labels."""
    tallies = {field: Tally() for field in (*FIELDS, "services")}
    for label, answer in pairs:
        expected = label["expected"]
        for field in FIELDS:
            verdict = judge(field, label, answer)
            if verdict is not None:
                answered, correct = verdict
                tallies[field].labelled += 1
                tallies[field].answered += answered
                tallies[field].correct += correct
        if expected.get("services"):
            wanted, given = roots(expected["services"]), roots(answer.get("services") or [])
            tallies["services"].labelled += len(wanted)
            tallies["services"].answered += len(given)
            tallies["services"].correct += len(wanted & given)
    return tallies


def judge(field, label, answer):
    """None where the label says nothing of the field, else whether it was answered and whether the answer is right."""
    expected = label["expected"]
    if field == "start_command":
        wanted = expected.get("start_contains")
    else:
        wanted = expected.get(field)
    # An empty list of databases is a label (there are none); an empty name or list of commands is no label.
    if wanted is None or (wanted in ("", []) and field != "databases"):
        return None
    if field == "version" and label.get("version_signal") is False:
        return None
    given = answer.get(field)
    # Silence is never right; an empty list of databases and `false` are answers.
    if given is None or given == "":
        return (False, False)
    return (True, _RIGHT[field](wanted, given, label, answer))


def roots(services):
    """The directories of services, however written: paths, or objects that have one."""
    paths = (service if isinstance(service, str) else service.get("path") or "" for service in services)
    return {_path(path) for path in paths}


def _path(text):
    parts = [part for part in str(text).split("/") if part not in ("", ".")]
    return "/".join(parts)


def _name(field):
    def right(wanted, given, _label, _answer):
        return names.canonical(field, given) in wanted.split("|")

    return right


def _start(wanted, given, _label, _answer):
    command = " ".join(str(given).split())
    return any(" ".join(part.split()) in command for part in wanted)


def _databases(wanted, given, _label, _answer):
    return {names.canonical("databases", one) for one in given} == set(wanted)


def _version(wanted, given, label, answer):
    runtime = label["expected"].get("runtime") or ""
    if runtime and not _name("runtime")(runtime, answer.get("runtime"), label, answer):
        return False
    count = 1 if runtime.split("|")[0] in MAJOR_ONLY else 2
    want, have = re.findall(r"\d+", str(wanted))[:count], re.findall(r"\d+", str(given))[:count]
    both = min(len(want), len(have))
    return both > 0 and want[:both] == have[:both]


_RIGHT = {
    "runtime": _name("runtime"),
    "framework": _name("framework"),
    "package_manager": _name("package_manager"),
    "start_command": _start,
    "port": lambda wanted, given, _label, _answer: str(wanted) == str(given),
    "databases": _databases,
    "static": lambda wanted, given, _label, _answer: wanted is given,
    "version": _version,
    "output_dir": lambda wanted, given, _label, _answer: _path(wanted) == _path(given),
}
