"""The tables of a run, as Markdown."""

from .scoring import FIELDS

COLUMNS = {
    "runtime": "runtime",
    "framework": "framework",
    "package_manager": "package manager",
    "start_command": "start command",
    "port": "port",
    "databases": "databases",
    "static": "static or server",
    "version": "version",
    "output_dir": "output folder",
    "services": "services",
}
NONE = "–"
# Name of the row, unit of the comparison, and where its figure lies in the results.
SPEEDS = (
    ("in process, mean of a folder", "folders", "in_process"),
    ("whole process, median", "folders", "process"),
    ("whole process, 95th percentile", "folders", "p95"),
    ("monorepo with node_modules, in process", "monorepo", "in_process"),
    ("monorepo with node_modules, whole process", "monorepo", "process"),
    ("50k source files, in process", "sources", "in_process"),
    ("50k source files, whole process", "sources", "process"),
)


def markdown(results):
    """Everything that a run has found."""
    machine, everyone = results["machine"], results["contestants"]
    lines = [
        f"Run of {results['date']} on {machine['cores']} cores ({machine['cpu']}), load average {machine['load_before']} before and "
        f"{machine['load_after']} after. " + "; ".join(f"{one['title']} {one['version']}" for one in everyone) + ".",
        "",
        f"**Accuracy** on {results['labels']}: right answers in percent of the labels, in brackets in percent of the answers given. "
        f"{NONE}: it has no such answer.",
        "",
        _row(["", *(one["title"] for one in everyone)]),
        _row(["---"] * (len(everyone) + 1)),
    ]
    lines += [_accuracy(results, field) for field in (*FIELDS, "services") if _labelled(results, field)]
    if results.get("speed"):
        lines += ["", _speed_caption(results), "", _row(["ms", *(one["title"] for one in everyone)]), _row(["---"] * (len(everyone) + 1))]
        rows = [row for row in SPEEDS if results["speed"].get(row[1])]
        lines += [_row([name, *(_rounds(speed(results, one["key"], tree, kind)) for one in everyone)]) for name, tree, kind in rows]
    return "\n".join(lines) + "\n"


def speed(results, key, tree, kind):
    """One figure of the speed table in ms, of the fastest and of the median round, or None."""
    return results["speed"].get(tree, {}).get(key, {}).get(kind)


def _rounds(value):
    return f"{milliseconds(value['fastest'])} ({milliseconds(value['median'])})" if value else NONE


def milliseconds(value):
    """With about three digits."""
    if value is None:
        return NONE
    return f"{value:.3f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _labelled(results, field):
    return max(results["accuracy"][one["key"]][field]["labelled"] for one in results["contestants"])


def _accuracy(results, field):
    cells = []
    for one in results["contestants"]:
        tally = results["accuracy"][one["key"]][field]
        cells.append(percent(tally, "labelled") if field in one["answers"] else NONE)
        if field in one["answers"] and tally["answered"]:
            cells[-1] += f" ({percent(tally, 'answered')})"
    what = "directories" if field == "services" else "labels"
    return _row([f"{COLUMNS[field]} ({_labelled(results, field)} {what})", *cells])


def percent(tally, of):
    """Right answers in percent of the labels or of the answers."""
    return f"{100 * tally['correct'] / tally[of]:.1f}" if tally[of] else NONE


def _speed_caption(results):
    settings, baselines = results["settings"], results["speed"]["baselines"]
    nothing = ", ".join(f"{name}: {milliseconds(value)} ms" for name, value in baselines.items())
    return (
        f"**Speed** in ms, warm file cache: the fastest of {settings['rounds']} rounds in which everyone takes turns, in brackets the median "
        f"round; whole processes on {settings['sample']} of the folders. Starting a process that does nothing takes: {nothing}."
    )


def _row(cells):
    return "| " + " | ".join(cells) + " |"
