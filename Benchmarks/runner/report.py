# SPDX-License-Identifier: Apache-2.0

"""The results as text, Markdown and CSV."""
import csv

from . import rows

MARKERS = ("<!-- benchmark: begin -->", "<!-- benchmark: end -->")
HEAD = ["row", "program", "messages/s", "ratio", "CPU µs/message", "ratio", "p50 µs", "p99 µs", "sink"]


def cells(result):
    """A line for each program; the ratios are this library's figure divided by the peer's."""
    for name, medians in result["programs"].items():
        ratios = result["ratios"].get(name, {})
        sink = f"{medians['sinkLoad']:.0%}" + (" (the limit)" if medians["sinkLoad"] > 0.95 else "")
        yield [result["row"], name, f"{medians['rate']:,.0f}", times(ratios.get("rate")), f"{medians['cpu']:.2f}",
               times(ratios.get("cpu")), *(f"{medians[key]:.1f}" if key in medians else "" for key in ("p50", "p99")),
               sink]


def times(ratio):
    return "" if ratio is None else f"{ratio:.2f} ×"


def targets(results):
    for result in results:
        for target in result["targets"]:
            yield [result["row"], target["target"], times(target["ratio"]), "pass" if target["met"] else "MISS"]


def facts(about):
    machine = about["machine"]
    known = [f"{name} {version}" for name, version in about["versions"].items() if version]
    return [f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, "
            f"load {machine['loadAtStart']} at the start",
            ", ".join(known), f"medians of {about['pairs']} alternating runs; repeat with `{about['command']}`"]


def aligned(lines):
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        padded = (cell.ljust(width) if column < 2 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(line, widths)))
        yield "  ".join(padded).rstrip()


def text(about, results):
    lines = [HEAD, *(line for result in results for line in cells(result))]
    parts = ["\n".join(facts(about)), "\n".join(aligned(lines))]
    if any(result["targets"] for result in results):
        parts.append("\n".join(aligned([["row", "target", "measured", ""], *targets(results)])))
    return "\n\n".join(parts)


def table(lines):
    head, *rest = lines
    rule = ["---"] * 2 + ["---:"] * (len(head) - 2)
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rest])


def markdown(about, results):
    parts = ["\n".join(f"- {fact}" for fact in facts(about)),
             table([HEAD, *(line for result in results for line in cells(result))])]
    if any(result["targets"] for result in results):
        parts.append(table([["row", "target", "measured", ""], *targets(results)]))
    return "\n\n".join(parts)


def write_markdown(path, about, results):
    """Replaces what is between the markers; a file without them gets them at its end."""
    before, after = (path.read_text() if path.exists() else ""), "\n"
    if MARKERS[0] in before and MARKERS[1] in before:
        before, rest = before.split(MARKERS[0], 1)
        after = rest.split(MARKERS[1], 1)[1]
    elif before:
        before = before.rstrip("\n") + "\n\n"
    path.write_text(f"{before}{MARKERS[0]}\n{markdown(about, results)}\n{MARKERS[1]}{after}")


def write_csv(path, results):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "transport", "records", "program", "rate", "cpu_us", "p50_us", "p99_us", "peak_kb",
                         "sink_load", "rate_ratio", "cpu_ratio"])
        for result in results:
            for name, medians in result["programs"].items():
                ratios = result["ratios"].get(name, {})
                values = [medians.get(key) for key in ("rate", "cpu", "p50", "p99", "peakKB", "sinkLoad")]
                values += [ratios.get("rate"), ratios.get("cpu")]
                writer.writerow([result["row"], result["transport"], result["records"], name,
                                 *("" if value is None else f"{value:.6g}" for value in values)])


def ordered_programs(results):
    return [name for name in [rows.OURS, *rows.PEERS] if any(name in result["programs"] for result in results)]
