"""Forwards TCP connections, counts their bytes, and breaks them when it is told to. Usage: forwarder.py LANES

Prints the ports of the lanes, which listen on 127.0.0.1; then answers each line of standard input with a line, and ends
with it:

LANE route PORT           the lane's next connections go to this port of 127.0.0.1
LANE route PORT close N   and are closed when so many bytes have come from there; with "reset", reset
LANE close                the lane's connections are closed now, both sides of each; with "reset", reset
LANE count                answers with the newest connection's bytes from the client, bytes to it, and round trips: how
                          often the client spoke after the other side had, or first
"""

import asyncio
import socket
import struct
import sys


class Lane:
    def __init__(self):
        self.port = self.how = self.limit = None
        self.connections = set()
        self.newest = None

    async def accept(self, reader, writer):
        connection = Connection(reader, writer, self.how, self.limit)
        self.connections.add(connection)
        self.newest = connection
        try:
            await connection.run(self.port)
        finally:
            self.connections.discard(connection)

    def obey(self, command, *arguments):
        if command == "route":
            self.port = int(arguments[0])
            self.how = arguments[1] if len(arguments) > 1 else None
            self.limit = int(arguments[2]) if len(arguments) > 1 else None
        elif command == "count":
            return self.newest.counts() if self.newest else "0 0 0"
        else:
            for connection in self.connections:
                connection.end(command)
        return "ok"


class Connection:
    def __init__(self, reader, writer, how, limit):
        self.client = (reader, writer)
        self.writers = [writer]
        self.how, self.limit = how, limit
        self.up = self.down = self.trips = 0
        self.is_answering = True

    async def run(self, port):
        try:
            broker = await asyncio.open_connection("127.0.0.1", port)
            self.writers.append(broker[1])
            for writer in self.writers:
                writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(
                self.copy(self.client[0], broker[1], True), self.copy(broker[0], self.client[1], False)
            )
        except OSError:
            # One side is gone, or was never there: so is the other.
            self.end("reset")
        for writer in self.writers:
            writer.close()

    async def copy(self, reader, writer, is_up):
        while data := await reader.read(65536):
            if is_up:
                self.up += len(data)
                self.trips += self.is_answering
            elif self.limit is not None and self.down + len(data) >= self.limit:
                writer.write(data[: self.limit - self.down])
                await writer.drain()
                return self.end(self.how)
            else:
                self.down += len(data)
            self.is_answering = not is_up
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    def end(self, how):
        for writer in self.writers:
            if how == "reset" and not writer.is_closing():
                # Without lingering, close() sends a RST instead of a FIN.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            writer.close()

    def counts(self):
        return f"{self.up} {self.down} {self.trips}"


async def main():
    lanes = [Lane() for _ in range(int(sys.argv[1]))]
    servers = [await asyncio.start_server(lane.accept, "127.0.0.1", 0) for lane in lanes]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := (await commands.readline()).decode().split():
        print(lanes[int(line[0])].obey(*line[1:]), flush=True)


asyncio.run(main())
