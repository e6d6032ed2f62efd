#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A broker of one connection, which accepts a client and its subscription, and sends one message again and again.

Usage: flood-peer.py MESSAGES PROPERTIES. Prints its port. Each message has one byte and PROPERTIES empty user properties.
"""
import socket
import sys


def integer(value):
    """A variable byte integer (MQTT 5.0, section 1.5.5)."""
    result = bytearray()
    while True:
        value, byte = value >> 7, value & 127
        result.append(byte | (128 if value else 0))
        if not value:
            return bytes(result)


messages, count = int(sys.argv[1]), int(sys.argv[2])
properties = b"\x26\0\0\0\0" * count
body = b"\0\1t" + integer(len(properties)) + properties + b"x"
packet = b"\x30" + integer(len(body)) + body

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
client.recv(4096)  # CONNECT
client.sendall(b"\x20\3\0\0\0")
subscribe = client.recv(4096)
client.sendall(b"\x90\4" + subscribe[2:4] + b"\0\0")
batch = max(1, 65536 // len(packet))
while messages > 0:
    client.sendall(packet * min(batch, messages))
    messages -= batch
while client.recv(4096):  # until the client disconnects
    pass
