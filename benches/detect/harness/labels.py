"""Label files and the folders that they speak of."""

import json
import shutil
from pathlib import Path


class LabelError(Exception):
    """What is wrong with a label file, and where."""


def read(file, root):
    """`(label, folder)` of each label of a file whose folder lies under `root`, and the ids of the labels without one.

    A later label of the same id takes the place of an earlier one.
    """
    by_id = {}
    for number, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            label = _parse(file, number, line)
            by_id[label["id"]] = label
    pairs = [(label, Path(root) / label["id"]) for label in by_id.values()]
    found = [(label, folder) for label, folder in pairs if folder.is_dir()]
    return found, [label["id"] for label, folder in pairs if not folder.is_dir()]


def _parse(file, number, line):
    try:
        label = json.loads(line)
    except json.JSONDecodeError as error:
        raise LabelError(f"{file}, line {number}: not JSON: {error}; write one object a line") from error
    if not isinstance(label, dict) or not isinstance(label.get("id"), str) or not isinstance(label.get("expected"), dict):
        raise LabelError(f"{file}, line {number}: a label needs the fields 'id' (text) and 'expected' (object)")
    if Path(label["id"]).is_absolute() or ".." in Path(label["id"]).parts:
        raise LabelError(f"{file}, line {number}: field 'id': '{label['id']}' leads out of the root folder; name a folder below it")
    return label


def fixtures(folder, scratch):
    """The fixtures of devopser's own tests as labels. The trees are copied: detectors that look above a tree find nothing there."""
    pairs = []
    for expected in sorted(Path(folder).glob("*/expected.json")):
        name = expected.parent.name
        answer = json.loads(expected.read_text(encoding="utf-8"))
        start = answer.pop("start_command", None)
        answer["start_contains"] = [start] if start else None
        copy = Path(scratch) / name
        shutil.copytree(expected.parent / "tree", copy, symlinks=True)
        pairs.append(({"id": name, "expected": answer}, copy))
    return pairs
