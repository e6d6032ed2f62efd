# SPDX-License-Identifier: Apache-2.0

"""Runs the programs in turn, and says what the runs have in common."""
import statistics

from . import rows
from .programs import Failure

# Over a WebSocket some programs publish no more than a few thousand messages a second.
FEW_OVER_WEBSOCKET = {rows.PAHO: 20_000, rows.MQTTJS: 5_000}
# Enough for a run of a second or two; the slow queues of some libraries keep all of it in memory.
MOST_MESSAGES = {rows.PAHO: 400_000, rows.MQTTJS: 600_000}


def measure_row(row, programs, sink_of, pairs, seconds, say):
    """Each program once a round, in an order that rotates; `seconds` None: few messages, once. `sink_of` returns the sink
    of a program."""
    names = [name for name in programs.commands if row.is_for(name)]
    counts, runs, failures = {}, {name: [] for name in names}, {}

    def attempt(name, messages):
        try:
            return programs.measure(name, row.work_of(name), messages, sink_of(name))
        except Failure as failure:
            failures[name] = str(failure)
            say(f"{row.name}: {failure}")
            return None

    for name in names:
        few = 10 if row.is_start else 2_000 if row.is_latency or seconds is None else 50_000
        if row.is_websocket:
            few = min(few, FEW_OVER_WEBSOCKET.get(name, few))
        warm = attempt(name, few)  # not counted: it tells how many messages a run needs
        if warm is None:
            continue
        most = MOST_MESSAGES.get(name, 5_000_000)
        counts[name] = few if seconds is None else max(few, min(most, int(warm["rate"] * seconds)))
    for number in range(pairs):
        order = list(counts)
        for name in order[number % len(order):] + order[:number % len(order)] if order else []:
            run = None if name in failures else attempt(name, counts[name])
            if run is not None:
                runs[name].append(run)
    return summarize(row, {name: runs[name] for name in counts if name not in failures}, failures)


def summarize(row, runs, failures):
    result = {"row": row.name, "work": row.work, "transport": row.transport, "records": row.records,
              "failures": failures, "programs": {}, "ratios": {}, "targets": []}
    metrics = ["rate", "cpu", "peakKB", "sinkLoad"] + (["p50", "p99"] if row.is_latency else [])
    for name, own in runs.items():
        medians = {metric: statistics.median(run[metric] for run in own) for metric in metrics}
        result["programs"][name] = medians | {"work": row.work_of(name), "runs": [run["report"] for run in own]}
    for name in runs:
        if name == rows.OURS or rows.OURS not in runs:
            continue
        # The median of the rounds' ratios: what disturbs the machine for a while disturbs both of a round.
        result["ratios"][name] = {
            metric: statistics.median(ours[metric] / max(peer[metric], 1e-9)
                                      for ours, peer in zip(runs[rows.OURS], runs[name]))
            for metric in metrics if metric not in ("peakKB", "sinkLoad")}
    for target in row.targets:
        ratio = result["ratios"].get(target.peer, {}).get(target.metric)
        if ratio is not None:
            result["targets"].append({"target": str(target), "ratio": ratio, "met": target.is_met(ratio)})
    return result
