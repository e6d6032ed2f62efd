# SPDX-License-Identifier: Apache-2.0

"""The broker that the programs talk to."""
import pathlib
import subprocess

from .programs import Failure


class Sink:
    """A running sink. `authority` is the file to trust, or None without TLS."""

    def __init__(self, program, certificates=None, records="whole", is_websocket=False):
        self.authority = certificates and pathlib.Path(certificates) / "ca.pem"
        self.is_websocket = is_websocket
        arguments = [str(program), "--records", records, "--protocol", "websocket" if is_websocket else "mqtt"]
        if certificates:
            arguments += ["--cert", f"{certificates}/server.pem", "--key", f"{certificates}/server.key"]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().split()
        if len(line) != 2 or line[0] != "port":
            self.stop()
            raise Failure("the sink does not start")
        self.port = int(line[1])

    def cpu_seconds(self):
        """Linux counts it in nanoseconds here; /proc/PID/stat has only hundredths of a second."""
        text = pathlib.Path(f"/proc/{self.process.pid}/schedstat").read_text()
        return int(text.split()[0]) / 1e9

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
