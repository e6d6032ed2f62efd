# SPDX-License-Identifier: Apache-2.0

"""The programs that are measured: how they are built and called, and what they print."""
import json
import math
import os
import shutil
import subprocess

from . import rows


class Failure(Exception):
    pass


def run(arguments, **options):
    """The standard output. Raises Failure with what the program said."""
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, **options)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(map(str, arguments))}: no end after {error.timeout:g} s") from None
    except OSError as error:
        raise Failure(f"{arguments[0]}: {error.strerror}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise Failure(f"{' '.join(map(str, arguments))}: exit {done.returncode}\n{said}")
    return done.stdout


class Programs:
    def __init__(self, root, say):
        self.benchmarks = root / "Benchmarks"
        self.peers = self.benchmarks / ".build" / "peers"
        self.say = say
        self.environment = os.environ | {"NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs")}
        self.commands = {}
        self.root = root
        self._mosq = None

    @property
    def sink(self):
        return self.peers / "sink"

    def build(self, wanted, measures_messages=True):
        """Leaves out what is not installed, saying so. What is there has to build. The row of the start of commands
        alone needs no program with the library."""
        self._make("sink")
        for name in wanted:
            missing = self._missing(name)
            if name in (rows.OURS, rows.BARE) and not measures_messages:
                self.commands[name] = []
            elif name == rows.BARE:
                if rows.OURS in self.commands:
                    self.commands[name] = self.commands[rows.OURS]
            elif missing:
                self.say(f"{name} is left out: {missing}")
            else:
                self.commands[name] = self._build(name)

    def _missing(self, name):
        if name == rows.OURS:
            if not (self.benchmarks / "Package.swift").exists():
                return "there is no Benchmarks/Package.swift"
            return None if shutil.which("swift") else "no swift on the PATH"
        if name == rows.PUB:
            return None if shutil.which(name) else "scripts/setup installs it"
        if name == rows.MQTTJS:
            check = ["node", "-e", "require('mqtt')"]
        else:
            header = "MQTTAsync.h" if name == rows.PAHO else "mosquitto.h"
            check = ["cc", "-E", "-include", header, "-x", "c", os.devnull, "-o", os.devnull]
        try:
            run(check, env=self.environment)
        except Failure:
            return "scripts/setup --benchmarks installs it"
        return None

    @property
    def mosq(self):
        """The command as scripts/install builds it, on first use."""
        if self._mosq is None:
            self.say("building mosq, as scripts/install does")
            self._mosq = run([str(self.root / "scripts" / "install"), "--build"]).strip()
            self._make("peers", "PEERS=command-start")
        return self._mosq

    def _start(self, name):
        return ["--", self.mosq, "pub"] if name == rows.OURS else ["--", rows.PUB]

    def _build(self, name):
        if name == rows.PUB:
            return [rows.PUB]
        if name == rows.MQTTJS:
            return ["node", str(self.benchmarks / "Peers" / "mqttjs.js")]
        if name != rows.OURS:
            self._make("peers", f"PEERS={name}")
            return [str(self.peers / name)]
        self.say("building the release of the library")
        build = ["swift", "build", "--configuration", "release", "--package-path", str(self.benchmarks)]
        # Without SWIFT_DETERMINISTIC_HASHING, SwiftPM before 6.4 builds the library anew each time: see scripts/test.
        run([*build, "--product", "mosquitto-swift"], env=self.environment | {"SWIFT_DETERMINISTIC_HASHING": "1"})
        folder = run([*build, "--show-bin-path"]).strip()
        return [f"{folder}/mosquitto-swift"]

    def _make(self, *targets):
        run(["make", "--silent", "-C", str(self.benchmarks), *targets])

    def measure(self, name, work, messages, sink):
        """One run: the object that the program prints, checked."""
        command = [str(self.peers / "command-start")] if work == rows.START else self.commands[name]
        start = self._start(name) if work == rows.START else []
        arguments = [*command, work, "--port", str(sink.port), "--messages", str(messages), *start]
        if sink.authority:
            arguments += ["--cafile", str(sink.authority)]
        if sink.is_websocket:
            arguments += ["--path", "/mqtt"]
        before = sink.cpu_seconds()
        output = run(arguments, env=self.environment, timeout=120)
        try:
            report = json.loads(output)
            check(report, work, messages)
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"{' '.join(arguments)} printed nonsense ({error}): {output!r}") from None
        return figures(report) | {"sinkLoad": (sink.cpu_seconds() - before) / report["seconds"], "report": report}


def check(report, work, messages):
    if report["work"] != work or report["messages"] != messages:
        raise ValueError("of another work, or other messages")
    names = ["seconds", "userSeconds", "systemSeconds", "peakKB"]
    percentiles = ["p50us", "p90us", "p99us", "maxus"] if work.startswith("latency") or work == rows.START else []
    for name in names + percentiles:
        if not math.isfinite(report[name]) or report[name] < 0:
            raise ValueError(f"{name} is {report[name]}")
    if report["seconds"] == 0 or report["peakKB"] == 0:
        raise ValueError("no time, or no memory")
    if sorted(report[name] for name in percentiles) != [report[name] for name in percentiles]:
        raise ValueError("percentiles out of order")


def figures(report):
    """Messages a second, microseconds of CPU a message, and percentiles in microseconds."""
    messages = report["messages"]
    values = {"rate": messages / report["seconds"],
              "cpu": (report["userSeconds"] + report["systemSeconds"]) * 1e6 / messages,
              "peakKB": report["peakKB"]}
    return values | {name: report[f"{name}us"] for name in ("p50", "p99") if f"{name}us" in report}
