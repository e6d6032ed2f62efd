# SPDX-License-Identifier: Apache-2.0

"""A bar chart of messages a second, as SVG that is legible on light and dark pages."""
from xml.sax.saxutils import escape

from . import report, rows

COLORS = {rows.OURS: "#e8590c", rows.THREADED: "#1971c2", rows.LOOP: "#4dabf7", rows.PAHO: "#7048e8",
          rows.MQTTJS: "#2f9e44", rows.PUB: "#1971c2", rows.BARE: "#fd7e14"}
WIDTH, BARS, BAR, GAP = 920, 440, 13, 16
STYLE = """text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 } .row { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9da7b1 } }"""


def text(x, y, content, kind="", anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def figure(result, name):
    """The length of the bar, and what is written beside it. Each row has a scale of its own."""
    medians = result["programs"][name]
    if "p50" in medians:
        value, label = medians["p50"], f"{medians['p50']:.0f} µs, p99 {medians['p99']:.0f} µs"
        ratio = result["ratios"].get(name, {}).get("p50")
    else:
        value = medians["rate"]
        label = f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.0f} k/s"
        ratio = result["ratios"].get(name, {}).get("rate")
    return value, label + (f"  ({ratio:.2f} ×)" if ratio else "")


def overview(about, results):
    """The overview: the rows whose work most programs do, beside all peers."""
    return svg(about, [result for result in results if result["row"] in rows.OVERVIEW])


def svg(about, results):
    # Names are bold, and the widest letters of 12 pixels have 8.
    names = 32 + 8 * max((len(result["row"]) for result in results), default=0)
    parts, y = [], 24
    parts.append(text(16, y, "MQTT clients: messages a second, and latency (latency: shorter is better)", "title"))
    y += 22
    x = 16
    for name in report.ordered_programs(results):
        if x + 18 + 7 * len(name) > WIDTH:
            x, y = 16, y + 18
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" fill="{COLORS[name]}"/>')
        parts.append(text(x + 18, y, name))
        x += 36 + 7 * len(name)
    y += 18
    note = "In brackets: this library's figure divided by the peer's. Each row has its own scale."
    parts.append(text(16, y, note, "small"))
    y += GAP
    for result in results:
        figures = {name: figure(result, name) for name in result["programs"]}
        longest = max((value for value, _ in figures.values()), default=1)
        parts.append(text(16, y + 11, result["row"], "row"))
        for name, (value, label) in figures.items():
            width = max(2, BARS * value / longest)
            parts.append(f'<rect x="{names}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{COLORS[name]}"/>')
            parts.append(text(names + width + 6, y + 11, label, "small"))
            y += BAR + 3
        y += GAP
    for fact in report.facts(about)[:2]:
        parts.append(text(16, y + 4, fact, "small"))
        y += 16
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 6}" role="img" '
            f'aria-label="Messages a second of MQTT clients, by row">\n<style>{STYLE}</style>\n{body}\n</svg>\n')
