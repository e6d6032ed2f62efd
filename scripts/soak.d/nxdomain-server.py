# SPDX-License-Identifier: Apache-2.0

"""A nameserver that knows no name. Usage: nxdomain-server.py ADDRESS. Prints a line when it listens, on UDP port 53."""

import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    query, client = server.recvfrom(4096)
    # RFC 1035, section 4.1: the end of the question is the root label of its name, then type and class.
    end = query.find(b"\0", 12) + 5
    # A response, recursion desired and available, code 3; one question and nothing else.
    server.sendto(query[:2] + b"\x81\x83" + b"\0\1\0\0\0\0\0\0" + query[12:end], client)
