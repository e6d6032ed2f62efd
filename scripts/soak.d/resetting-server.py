# SPDX-License-Identifier: Apache-2.0

"""Resets each connection once something has come. Usage: resetting-server.py PORT. Prints a line when it listens."""

import socket
import struct
import sys

server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    # Without lingering, close() sends a RST instead of a FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.settimeout(10)
    try:
        connection.recv(1)
    except OSError:
        pass
    connection.close()
