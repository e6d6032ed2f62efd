# SPDX-License-Identifier: Apache-2.0

"""Judges what scripts/soak outages has recorded. Usage: outages-report.py DIRECTORY

Prints a table with a line for each client, and fails if one of them broke a bound.
"""

import csv
import json
import sys
from datetime import datetime
from pathlib import Path

# What an attempt may end with, as phase and code. A look-up that takes longer than an attempt ends it with a timeout.
ENDINGS = {
    "refused": {"connect connectionRefused"},
    "nxdomain": {"resolve dns"},
    "nameserver_silent": {"resolve dns", "resolve timeout"},
    "blackhole": {"connect timeout"},
    "tls_reset": {"tlsHandshake closed"},
}

# What the other side sees of an attempt: one SYN, or the questions for A and AAAA. Where nothing answers, they are repeated.
PACKETS = {"refused": 1, "nxdomain": 2, "tls_reset": 1}

# The default of MQTTRetryPolicy, in seconds.
BASE_DELAY = 1
MINIMUM_DELAY = 0.1
# A name that stays missing is in the slow tier, whose upper bound starts at a quarter of the longest delay.
SLOW_AFTER = 5
SLOW_FRACTION = 0.25
# After five failures the delays are from the upper third.
SPREAD_AFTER = 5
SPREAD_FLOOR = 2 / 3
OUTAGE_FACTOR = 5 / 3
ATTEMPT_LIMIT = 10
# Events have milliseconds, and the wall clock may be slewed by 500 ppm, against which the delays are measured.
CLOCK_ERROR = 0.002
CLOCK_DRIFT = 0.0005
# How long a busy machine may keep a client from running.
LATE = 1

CPU_PERCENT = 0.5
GROWTH_KB = 512
# libmosquitto's socket, the loop's own descriptor of it, and the pair of sockets with which libmosquitto would wake
# mosquitto_loop, which nobody calls. A look-up has a socket for each nameserver.
ATTEMPT_DESCRIPTORS = 4
# The event loop and a look-up.
OWN_THREADS = 2
SHOWN_PROBLEMS = 5


def seconds(time):
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


class Client:
    def __init__(self, directory, name):
        self.outage, _, delay = name.rpartition("-")
        self.longest = float(delay)
        self.problems = []
        with open(directory / "samples.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["name"] == name]
        self.samples = [{key: float(value) for key, value in row.items() if key != "name"} for row in rows]
        self.events = []
        for line in (directory / f"{name}.events").read_text().splitlines():
            try:
                event = json.loads(line)
                event["time"] = seconds(event["time"])
            except (ValueError, KeyError):
                self.problems.append(f"said {line!r}")
            else:
                self.events.append(event)

    def check(self, condition, problem):
        if not condition and problem not in self.problems:
            self.problems.append(problem)

    def judge_events(self):
        """Attempts come one by one, each when the delay of the last is over."""
        self.starts = [event for event in self.events if event["event"] == "attemptStarted"]
        self.failures = [event for event in self.events if event["event"] == "attemptFailed"]
        self.delays = [event.get("retryIn", 0) for event in self.failures]
        self.endings = {}
        self.lateness = [0.0]
        kinds = ["attemptStarted", "attemptFailed"]
        for index, event in enumerate(self.events):
            expected = (kinds[index % 2], index // 2 + 1)
            if (event["event"], event.get("attempt")) != expected:
                self.problems.append(f"event {index} is {event['event']}, expected {expected}")
                return
        waited = 0
        for index, failure in enumerate(self.failures):
            ending = f"{failure.get('phase')} {failure.get('code')}"
            self.endings[ending] = self.endings.get(ending, 0) + 1
            self.check(ending in ENDINGS[self.outage], f"ended with {ending}: {failure['message']}")
            self.check(failure["decision"] == "retry", f"decided to {failure['decision']}")
            low, high = self.bounds(index, waited)
            delay = self.delays[index]
            is_within = low - CLOCK_ERROR <= delay <= high + CLOCK_ERROR
            self.check(is_within, f"delay {index} of {delay:.3f} s is not from {low:.3f} to {high:.3f} s")
            waited += delay
            taken = failure["time"] - self.starts[index]["time"]
            self.check(taken < ATTEMPT_LIMIT + LATE, f"attempt {index + 1} took {taken:.1f} s")
            if index + 1 < len(self.starts):
                late = self.starts[index + 1]["time"] - failure["time"] - delay
                self.lateness.append(late)
                error = CLOCK_ERROR + delay * CLOCK_DRIFT
                self.check(late >= -error, f"attempt {index + 2} came {-late:.3f} s before its time")
                self.check(late < LATE, f"attempt {index + 2} came {late:.3f} s late")
        if self.events:
            last = self.events[-1]
            pause = last["retryIn"] if last["event"] == "attemptFailed" else ATTEMPT_LIMIT
            self.check(self.samples[-1]["time"] < last["time"] + pause + LATE, "stands still at the end")
        self.check(self.failures, "no attempt has ended")

    def bounds(self, index, waited):
        """Of the delay after a failure, counted from 0, when all earlier delays together were so long."""
        codes = [failure.get("code") for failure in self.failures[: index + 1]]
        high = min(self.longest, BASE_DELAY * 2**index)
        if len(codes) > SLOW_AFTER and set(codes[-SLOW_AFTER - 1 :]) == {"dns"}:
            high = max(high, self.longest * SLOW_FRACTION)
        else:
            high = min(high, max(BASE_DELAY, waited * OUTAGE_FACTOR))
        low = high * SPREAD_FLOOR if index >= SPREAD_AFTER else 0
        return max(low, MINIMUM_DELAY), max(high, MINIMUM_DELAY)

    def is_waiting(self, sample):
        """Whether neither an attempt is under way nor a look-up that has outlived its attempt; None near the edges."""
        state = True
        for event in self.events:
            if abs(event["time"] - sample["time"]) < 0.05:
                return None
            if event["time"] < sample["time"]:
                state = event["event"] != "attemptStarted"
        return state and sample["own_threads"] == 1

    def judge_resources(self, duration):
        self.check(self.samples[-1]["elapsed"] > duration - 1, "ended early")
        start = next(sample for sample in self.samples if sample["elapsed"] >= 5)
        settled = [sample for sample in self.samples if sample["elapsed"] >= 10]
        end = self.samples[-1]
        self.cpu = (end["cpu"] - start["cpu"]) / (end["elapsed"] - start["elapsed"]) * 100
        self.check(self.cpu < CPU_PERCENT, f"CPU above {CPU_PERCENT} %")

        self.rss = [settled[0]["rss"], settled[len(settled) // 2]["rss"], end["rss"]]
        self.anonymous = [settled[0]["anonymous"], settled[len(settled) // 2]["anonymous"], end["anonymous"]]
        growth = self.rss[-1] - self.rss[0]
        self.check(growth <= GROWTH_KB, f"memory grew by {growth:.0f} KB")

        self.idle = [sample["descriptors"] for sample in settled if self.is_waiting(sample) is True]
        self.busy = [sample["descriptors"] for sample in settled if self.is_waiting(sample) is False]
        self.check(len(set(self.idle)) <= 1, "descriptors grew between attempts")
        surplus = max(self.idle + self.busy) - min(self.idle + self.busy)
        self.check(surplus <= ATTEMPT_DESCRIPTORS, f"{surplus:.0f} descriptors for an attempt")

        self.threads = [sample["threads"] for sample in settled]
        self.own_threads = [sample["own_threads"] for sample in settled]
        self.check(max(self.own_threads) <= OWN_THREADS, f"{max(self.own_threads):.0f} threads of its own")

    def judge_packets(self, packets):
        """The other side has seen as many attempts as there are events; the last may have begun between the two looks."""
        each = PACKETS.get(self.outage)
        if each:
            known = len(self.starts) * each
            self.check(known - each <= packets <= known, f"{packets} packets in {len(self.starts)} attempts")

    def verdict(self):
        more = len(self.problems) - SHOWN_PROBLEMS
        shown = self.problems[:SHOWN_PROBLEMS] + ([f"{more} more"] if more > 0 else [])
        return "; ".join(shown) or "ok"

    def row(self, packets):
        return [
            self.outage.replace("_", " "),
            f"{self.longest:.0f} s",
            f"{len(self.starts)}",
            ", ".join(f"{count} {ending}" for ending, count in self.endings.items()),
            f"{min(self.delays):.2f} to {max(self.delays):.2f} s" if self.delays else "",
            f"{max(self.lateness) * 1000:.0f} ms",
            f"{packets}",
            f"{self.cpu:.3f} %",
            " → ".join(f"{size:.0f}" for size in self.rss) + " KB",
            " → ".join(f"{size:.0f}" for size in self.anonymous) + " KB",
            span(self.idle) + " / " + span(self.busy),
            span(self.threads),
            self.verdict(),
        ]


def span(values):
    if not values:
        return "–"
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"


HEADINGS = [
    "outage",
    "longest delay",
    "attempts",
    "ended with",
    "delays",
    "late by",
    "packets",
    "CPU",
    "resident at 10 s → half → end",
    "of that anonymous",
    "descriptors waiting / trying",
    "threads",
    "verdict",
]


def line(cells):
    print("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")


directory = Path(sys.argv[1])
counters = json.loads((directory / "counters.json").read_text())["nftables"]
packets = {entry["counter"]["name"]: entry["counter"]["packets"] for entry in counters if "counter" in entry}
duration = float((directory / "seconds").read_text())
failed = False
line(HEADINGS)
line(["---"] * len(HEADINGS))
for name in (directory / "clients").read_text().split():
    client = Client(directory, name)
    if not client.samples or client.samples[-1]["elapsed"] < 10:
        client.problems.insert(0, "ended within 10 s")
        line([client.outage.replace("_", " "), f"{client.longest:.0f} s"] + [""] * (len(HEADINGS) - 3) + [client.verdict()])
        failed = True
        continue
    client.judge_resources(duration)
    client.judge_events()
    client.judge_packets(packets[name.replace("-", "_")])
    line(client.row(packets[name.replace("-", "_")]))
    failed = failed or bool(client.problems)
sys.exit(failed)
