# SPDX-License-Identifier: Apache-2.0

"""Samples what processes use. Usage: sample-processes.py SECONDS INTERVAL NAME=PID...

Prints CSV, a line for each process and sample: its name, the seconds since the start and since 1970, the processor time in
seconds, resident memory and the part of it that is no file's in KB, descriptors, all threads, and those of the library (by
their names). A process that has ended has no further lines.
"""

import csv
import os
import sys
import time
from pathlib import Path

FIELDS = ["name", "elapsed", "time", "cpu", "rss", "anonymous", "descriptors", "threads", "own_threads"]


def sample(pid):
    folder = Path(f"/proc/{pid}")
    # The name of the command, in parentheses, may contain anything.
    stat = (folder / "stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    if "VmRSS" not in status:
        raise ProcessLookupError(f"{pid} has ended")
    names = [name.read_text() for name in folder.glob("task/*/comm")]
    return {
        "time": time.time(),
        "cpu": (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"),
        "rss": int(status["VmRSS"].split()[0]),
        "anonymous": int(status["RssAnon"].split()[0]),
        "descriptors": len(os.listdir(folder / "fd")),
        "threads": len(names),
        "own_threads": sum(name.startswith("mosquitto") for name in names),
    }


seconds, interval = float(sys.argv[1]), float(sys.argv[2])
processes = [argument.split("=") for argument in sys.argv[3:]]
writer = csv.DictWriter(sys.stdout, FIELDS)
writer.writeheader()
start = time.monotonic()
due = 0.0
while due <= seconds:
    time.sleep(max(0.0, start + due - time.monotonic()))
    for name, pid in processes:
        elapsed = time.monotonic() - start
        for attempt in range(3):
            # A thread may end between its listing and the reading of its name.
            try:
                writer.writerow({"name": name, "elapsed": elapsed, **sample(pid)})
                break
            except OSError:
                pass
    sys.stdout.flush()
    due += interval
