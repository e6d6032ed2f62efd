# SPDX-License-Identifier: Apache-2.0

"""What is measured, and what issue 8 asks of it."""
import dataclasses

OURS = "swift-mosquitto"
THREADED, LOOP, PAHO, MQTTJS = "mosquitto-threaded", "mosquitto-loop", "paho-async", "mqttjs"
PUB = "mosquitto_pub"  # the command, for the row of its start
BARE = "without-websocket"  # this library again, without the WebSocket of the row
PEERS = [BARE, THREADED, LOOP, PAHO, MQTTJS, PUB]
START = "start-up"


@dataclasses.dataclass(frozen=True)
class Target:
    """This library's `metric` divided by the peer's has to be at least, or at most, `limit`."""

    metric: str  # rate, cpu, p50, p99
    peer: str
    limit: float

    @property
    def is_minimum(self):
        return self.metric == "rate"

    def is_met(self, ratio):
        return ratio >= self.limit if self.is_minimum else ratio <= self.limit

    def __str__(self):
        return f"{self.metric} {'≥' if self.is_minimum else '≤'} {self.limit:g} × {self.peer}"


@dataclasses.dataclass(frozen=True)
class Row:
    work: str
    transport: str  # tls, plain; with a WebSocket wss, ws
    records: str = "whole"  # how the sink fills TLS records
    targets: tuple = ()

    @property
    def name(self):
        whole = self.work.startswith("receive") and self.transport in ("tls", "wss") and self.records == "whole"
        return f"{self.work} {self.transport}{' whole records' if whole else ''}"

    @property
    def is_websocket(self):
        return self.transport in ("ws", "wss")

    def transport_of(self, program):
        return {"ws": "plain", "wss": "tls"}[self.transport] if program == BARE else self.transport

    @property
    def is_latency(self):
        return self.work.startswith("latency") or self.is_start

    @property
    def is_start(self):
        """Starts of a command, each for one message: what a latency is to the others, is one start."""
        return self.work == START

    def work_of(self, program):
        """What only this library has is measured beside the nearest that the others have."""
        return self.work if program in (OURS, BARE) else self.work.removesuffix("-awaited").removesuffix("-on-loop")

    def is_for(self, program):
        if self.is_start or program == PUB:
            return self.is_start and program in (OURS, PUB)
        if self.is_websocket or program == BARE:
            # libmosquitto 2.0 has no WebSockets.
            return self.is_websocket and program in (OURS, BARE, PAHO, MQTTJS)
        if self.work.endswith("-awaited"):
            return program in (OURS, THREADED)
        if self.work.endswith("-on-loop"):
            return program in (OURS, LOOP)
        # libmosquitto 2.0.11 leaves the rest of a record in OpenSSL's buffer when errno is an old EAGAIN (lib/loop.c,
        # mosquitto_loop_read), which its thread does with QoS 1: it stands still until the next PINGREQ.
        stalls = (self.work, self.transport, self.records) == ("receive-qos1", "tls", "whole")
        return not (stalls and program == THREADED)


def ahead(metric="rate"):
    return (Target(metric, PAHO, 1), Target(metric, MQTTJS, 1))


def plain(work):
    if work == "latency-qos1":
        return Row(work, "plain", targets=(Target("p50", THREADED, 1.1), *ahead("p50")))
    if work == "publish-qos0-awaited":
        return Row(work, "plain")  # no target: the peer does not await
    return Row(work, "plain", targets=(Target("rate", THREADED, 0.9), *ahead()))


def websocket(work, transport, records="whole"):
    return Row(work, transport, records, (Target("rate", BARE, 0.85), *ahead()))


ROWS = [
    Row("publish-qos0", "tls", targets=(
        Target("rate", THREADED, 1.5), Target("rate", LOOP, 2.5), Target("cpu", THREADED, 0.7), *ahead())),
    Row("publish-qos0-awaited", "tls", targets=(Target("rate", THREADED, 0.5),)),
    Row("publish-qos1", "tls", targets=(Target("rate", THREADED, 1.6), *ahead())),
    # A record for each packet: so mosquitto sends. A broker that fills records is a row of its own.
    Row("receive-qos0", "tls", "packet", (Target("rate", LOOP, 4), *ahead())),
    Row("receive-qos0", "tls", "whole", ahead()),
    Row("receive-qos1", "tls", "packet", (Target("rate", LOOP, 3), *ahead())),
    Row("receive-qos1", "tls", "whole", ahead()),
    Row("latency-qos1", "tls", targets=(Target("p50", LOOP, 1.15), Target("p99", LOOP, 1), *ahead("p50"))),
    Row("latency-qos1-on-loop", "tls", targets=(Target("p50", LOOP, 1.15), Target("p99", LOOP, 1))),
    *map(plain, ["publish-qos0", "publish-qos0-awaited", "publish-qos1", "receive-qos0", "receive-qos1",
                 "latency-qos1"]),
    *(websocket(work, "wss") for work in ("publish-qos0", "publish-qos1")),
    *(websocket(work, "wss", records) for work in ("receive-qos0", "receive-qos1") for records in ("packet", "whole")),
    *(websocket(work, "ws") for work in ("publish-qos0", "publish-qos1", "receive-qos0", "receive-qos1")),
    Row(START, "plain", targets=(Target("p50", PUB, 6),)),
]

# The rows of the overview.
OVERVIEW = ["publish-qos0 tls", "publish-qos1 tls", "receive-qos1 tls", "latency-qos1 tls"]
