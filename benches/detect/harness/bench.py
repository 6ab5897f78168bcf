"""`python3 -m harness.bench`: who detects what, and how fast. `run.sh` builds what is measured and calls this."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from . import chart, contestants, labels, report, scoring, timing, trees


def main():
    options = _options()
    try:
        results = json.loads(options.render.read_text(encoding="utf-8")) if options.render else _run(options)
    except (labels.LabelError, OSError, RuntimeError) as error:
        print(f"bench-detect: {error}", file=sys.stderr)
        return 1
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "detect.svg").write_text(chart.svg(results), encoding="utf-8")
    text = report.markdown(results)
    (out / "results.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def _options():
    parser = argparse.ArgumentParser(prog="benches/detect/run.sh", description="Accuracy and speed of stack detection.")
    parser.add_argument("labels", nargs="?", type=Path, help="a label file; without one the fixtures of devopser's own tests are used")
    parser.add_argument("folder", nargs="?", type=Path, help="where the labelled folders lie, each by its id")
    parser.add_argument("--title", help="what to call the labels in the tables")
    parser.add_argument("--only", default="", help="contestants, by comma: devopser,nixpacks,netlify,vercel,specfy")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every measurement (3)")
    parser.add_argument("--sample", type=int, default=40, help="folders that whole processes are timed on (40)")
    parser.add_argument("--no-speed", action="store_true", help="accuracy only")
    parser.add_argument("--no-huge", action="store_true", help="without the huge trees")
    parser.add_argument("--out", type=Path, default=contestants.HERE / ".results", help="where results.json, results.md and detect.svg go")
    parser.add_argument("--render", type=Path, metavar="RESULTS", help="only draw a results.json again")
    parser.add_argument("--devopser", type=Path, help="the command (set by run.sh)")
    parser.add_argument("--example", type=Path, help="the example program of the library (set by run.sh)")
    options = parser.parse_args()
    if options.labels and not options.folder:
        parser.error("a label file needs the folder that its ids lie in, after it")
    if not options.render and not (options.devopser and options.example):
        parser.error("--devopser and --example are missing; start benches/detect/run.sh")
    return options


def _run(options):
    with tempfile.TemporaryDirectory(prefix="bench-detect-") as scratch:
        taking_part = _taking_part(options)
        pairs, title = _labelled(options, Path(scratch) / "fixtures")
        results = {
            "date": time.strftime("%-d %B %Y, %H:%M"),
            "machine": _machine(),
            "labels": options.title or title,
            "settings": {"rounds": options.rounds, "sample": min(options.sample, len(pairs))},
            "contestants": [
                {"key": one.key, "title": one.title, "version": one.version(), "answers": sorted(one.answers)} for one in taking_part
            ],
            "accuracy": _accuracy(taking_part, pairs),
        }
        if not options.no_speed:
            results["speed"] = _speed(options, taking_part, [folder for _, folder in pairs], Path(scratch))
        results["machine"]["load_after"] = _load()
        return results


def _taking_part(options):
    everyone = contestants.everyone(options.devopser, options.example)
    wanted = [name for name in options.only.split(",") if name]
    unknown = set(wanted) - {one.key for one in everyone}
    if unknown:
        raise RuntimeError(f"--only: {', '.join(sorted(unknown))} does not take part; choose from {', '.join(one.key for one in everyone)}")
    return [one for one in everyone if not wanted or one.key in wanted]


def _labelled(options, scratch):
    if not options.labels:
        folder = contestants.HERE.parent.parent / "devopser-detect" / "fixtures"
        pairs = labels.fixtures(folder, scratch)
        return pairs, f"{len(pairs)} fixtures of devopser's own tests (what devopser answers there is the label)"
    pairs, missing = labels.read(options.labels, options.folder)
    if missing:
        _say(f"{len(missing)} labels have no folder below {options.folder}, the first one '{missing[0]}'; they are left out")
    if not pairs:
        raise RuntimeError(f"no label of {options.labels} has a folder below {options.folder}; each folder is named by its label's 'id'")
    return pairs, f"{len(pairs)} labelled directories of {options.labels.name}"


def _accuracy(taking_part, pairs):
    found = {}
    for one in taking_part:
        _say(f"accuracy of {one.title}")
        answers = one.answer_all([folder for _, folder in pairs])
        if not any(answers):
            raise RuntimeError(f"{one.title} has answered for none of the folders; is it installed? `--only` leaves it out")
        tallies = scoring.score((label, answer) for (label, _), answer in zip(pairs, answers))
        found[one.key] = {field: vars(tally) for field, tally in tallies.items()}
    return found


def _speed(options, taking_part, folders, scratch):
    _say("speed inside one process")
    inside = timing.in_process(taking_part, folders, options.rounds, passes=2)
    _say("speed of whole processes")
    whole = timing.whole_process(taking_part, timing.sample(folders, options.sample), options.rounds)
    speed = {
        "baselines": timing.baselines(),
        "folders": {
            one.key: {
                "in_process": inside.get(one.key),
                "process": timing.over_folders(whole[one.key], statistics.median),
                "p95": timing.over_folders(whole[one.key], timing.percentile95),
            }
            for one in taking_part
        },
    }
    for name, make in () if options.no_huge else (("monorepo", trees.monorepo), ("sources", trees.sources)):
        tree = scratch / name
        _say(f"the huge tree '{name}': {make(tree):,} files")
        inside = timing.in_process(taking_part, [tree], options.rounds, passes=3)
        whole = timing.whole_process(taking_part, [tree], options.rounds)
        speed[name] = {one.key: {"in_process": inside.get(one.key), "process": timing.rounds_of(whole[one.key][0])} for one in taking_part}
    return speed


def _machine():
    cpu = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass  # Not Linux: the architecture has to do.
    return {"cores": os.cpu_count(), "cpu": cpu, "load_before": _load()}


def _load():
    return f"{os.getloadavg()[0]:.1f}"


def _say(text):
    print(f"bench-detect: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
