"""The chart of a run: an SVG of plain text and bars that reads on light and dark pages."""

from math import log
from xml.sax.saxutils import escape

from .report import COLUMNS, NONE, SPEEDS, milliseconds, speed
from .scoring import FIELDS

LABEL, CELL, BAR, ROW, HEAD = 310, 150, 120, 34, 64
STYLE = """
  svg { color-scheme: light dark }
  .page { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e } .track { fill: #eaeef2 } .ours { fill: #0969da } .peer { fill: #8c959f }
  .text, .soft { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .small { font-size: 11px } .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 } .track { fill: #262c36 } .ours { fill: #4493f8 } .peer { fill: #656c76 }
  }
"""


def svg(results):
    """Accuracy above, speed below; a column for each contestant."""
    everyone = results["contestants"]
    fields = [field for field in (*FIELDS, "services") if _total(results, field)]
    rows = [row for row in SPEEDS if results.get("speed") and results["speed"].get(row[1]) and row[2] != "p95"]
    width = LABEL + CELL * len(everyone) + 16
    speed_top = HEAD + ROW * (len(fields) + 1)
    height = speed_top + (ROW * (len(rows) + 1) + 8 if rows else 0)
    title = f"Right answers in percent of the labels of {results['labels']}   ({NONE} it has no such answer)"
    parts = [_text(16, 30, title, "text strong")]
    parts += _heads(everyone, HEAD - 10)
    for at, field in enumerate(fields):
        top = HEAD + ROW * at
        parts.append(_text(16, top + 20, COLUMNS[field], "text"))
        for column, one in enumerate(everyone):
            parts += _share(results, field, one, LABEL + CELL * column, top)
    if rows:
        parts += _speeds(results, rows, everyone, speed_top)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        f"<title>Detection: accuracy and speed</title>\n<style>{STYLE}</style>\n"
        f'<rect class="page" width="{width}" height="{height}" rx="8"/>\n{body}\n</svg>\n'
    )


def _heads(everyone, y):
    return [_text(LABEL + CELL * at, y, one["title"], "text small strong" if at == 0 else "soft small") for at, one in enumerate(everyone)]


def _share(results, field, one, x, top):
    tally = results["accuracy"][one["key"]][field]
    if field not in one["answers"] or not tally["labelled"]:
        return [_text(x, top + 20, NONE, "soft")]
    part = tally["correct"] / tally["labelled"]
    return _bar(one, x, top, part, f"{100 * part:.1f}")


def _speeds(results, rows, everyone, top):
    parts = [_text(16, top + 8, "Milliseconds, fastest round: shorter is better (the bars are logarithmic)", "text strong")]
    top += 24
    rounds = {(name, one["key"]): speed(results, one["key"], tree, kind) for name, tree, kind in rows for one in everyone}
    figures = {place: value["fastest"] if value else None for place, value in rounds.items()}
    known = [value for value in figures.values() if value]
    low, high = min(known, default=1), max(known, default=1)
    for at, (name, _, _) in enumerate(rows):
        parts.append(_text(16, top + ROW * at + 20, name, "text"))
        for column, one in enumerate(everyone):
            value, x = figures[name, one["key"]], LABEL + CELL * column
            if value:
                parts += _bar(one, x, top + ROW * at, _logarithmic(value, low, high), milliseconds(value))
            else:
                parts.append(_text(x, top + ROW * at + 20, NONE, "soft"))
    return parts


def _logarithmic(value, low, high):
    return 0.04 + 0.96 * (log(value / low) / log(high / low) if high > low else 1)


def _bar(one, x, top, part, label):
    kind = "ours" if one["key"] == "devopser" else "peer"
    return [
        f'<rect class="track" x="{x}" y="{top + 22}" width="{BAR}" height="6" rx="3"/>',
        f'<rect class="{kind}" x="{x}" y="{top + 22}" width="{max(BAR * part, 0):.1f}" height="6" rx="3"/>',
        _text(x, top + 17, label, "text small strong" if kind == "ours" else "text small"),
    ]


def _total(results, field):
    return max(results["accuracy"][one["key"]][field]["labelled"] for one in results["contestants"])


def _text(x, y, text, kind):
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'
