# SPDX-License-Identifier: Apache-2.0

"""The command: scripts/benchmark."""
import argparse
import contextlib
import json
import pathlib
import re
import shlex
import sys
import tempfile

from . import machine, measuring, plot, report, rows
from .programs import Failure, Programs, run
from .sink import Sink


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark", description="Measures this library beside other MQTT clients, alternating.")
    add = parser.add_argument
    add("--rows", metavar="REGEX", default="", help="only rows whose name matches, e.g. 'qos1 tls'")
    transports = parser.add_mutually_exclusive_group()
    transports.add_argument("--tls-only", action="store_const", dest="transport", const="tls")
    transports.add_argument("--plain-only", action="store_const", dest="transport", const="plain")
    add("--peers", metavar="NAMES", default=",".join(rows.PEERS), help="comma-separated; default: %(default)s")
    add("--pairs", type=int, default=5, help="counted runs of each program, alternating (default: 5)")
    add("--quick", action="store_true", help="short runs, 3 pairs: to see the way, not for figures")
    add("--check", action="store_true", help="few messages, no figures: whether all programs build and work")
    for kind in ("json", "csv", "svg", "markdown"):
        more = ": replaces what is between its markers" if kind == "markdown" else ""
        add(f"--{kind}", metavar="FILE", type=pathlib.Path, help=f"write the results as {kind}{more}")
    add("--overview", metavar="FILE", type=pathlib.Path, help="write a chart of the four rows of the overview as svg")
    options = parser.parse_args()
    options.peers = [name for name in options.peers.split(",") if name]
    unknown = set(options.peers) - set(rows.PEERS)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    if options.pairs < 1:
        parser.error("--pairs must be at least 1")
    try:
        options.rows = [row for row in rows.ROWS if re.search(options.rows, row.name)
                        and options.transport in (None, row.transport)]
    except re.error as error:
        parser.error(f"--rows: {error}")
    if not options.rows:
        parser.error("no row matches")
    if options.quick or options.check:
        options.pairs = 1 if options.check else min(options.pairs, 3)
    return options


def say(text):
    print(f"benchmark: {text}", file=sys.stderr, flush=True)


def main(root):
    options = parse()
    seconds = None if options.check else 0.3 if options.quick else 1.5
    try:
        with contextlib.ExitStack() as stack:
            programs = Programs(root, say)
            programs.build([rows.OURS, *options.peers], any(not row.is_start for row in options.rows))
            results = list(measure(options, programs, seconds, stack))
    except Failure as failure:
        say(failure)
        return 1
    failed = any(result["failures"] for result in results)
    if options.check:
        say("failed" if failed else f"{len(results)} rows work with {', '.join(programs.commands)}")
        return failed
    about = machine.describe(programs.environment) | {
        "pairs": options.pairs, "command": shlex.join(["scripts/benchmark", *sys.argv[1:]])}
    write(options, about, results)
    return failed


def measure(options, programs, seconds, stack):
    certificates = stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-"))
    run([str(programs.benchmarks / "make-certificates"), certificates])
    sinks = {}

    def sink(transport, records):
        kind = transport, records
        if kind not in sinks:
            is_secure, is_websocket = transport in ("tls", "wss"), transport in ("ws", "wss")
            sinks[kind] = Sink(programs.sink, certificates if is_secure else None, records, is_websocket)
            stack.callback(sinks[kind].stop)
        return sinks[kind]

    for row in options.rows:
        if not options.check:
            say(row.name)
        yield measuring.measure_row(
            row, programs, lambda program, row=row: sink(row.transport_of(program), row.records),
            options.pairs, seconds, say)


def write(options, about, results):
    print(report.text(about, results))
    if options.json:
        options.json.write_text(json.dumps(about | {"rows": results}, indent=1) + "\n")
    if options.csv:
        report.write_csv(options.csv, results)
    if options.svg:
        options.svg.write_text(plot.svg(about, results))
    if options.overview:
        options.overview.write_text(plot.overview(about, results))
    if options.markdown:
        report.write_markdown(options.markdown, about, results)
