"""Runs beside a kernel: serves TCP connections, each as its first line asks.

    python kernel_peer.py PORT

First lines: ``echo``; ``reset``; ``close`` (at once); ``digest`` (of all up to the peer's FIN);
``random SEED LENGTH`` (sends so many bytes, then closes); ``stall SECONDS`` (reads nothing for so
long, then like digest); ``mirror`` (all of it back, after the peer's FIN). ``call ADDRESS PORT``,
from anywhere, connects to there and says hello.
"""

import hashlib
import random
import socket
import struct
import sys
import threading
import time


def digest(connection):
    found = hashlib.sha256()
    while data := connection.recv(65536):
        found.update(data)
    connection.sendall(found.hexdigest().encode())


def call(address, port):
    with socket.create_connection((address, int(port)), timeout=60) as connection:
        connection.sendall(b"hello")
        while data := connection.recv(65536):
            connection.sendall(data)


def serve(connection):
    with connection:
        line = b""
        while not line.endswith(b"\n"):
            got = connection.recv(1)
            if not got:
                return
            line += got
        what, *arguments = line.decode().split()
        if what == "echo":
            while data := connection.recv(65536):
                connection.sendall(data)
        elif what == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif what == "digest":
            digest(connection)
        elif what == "random":
            connection.sendall(random.Random(int(arguments[0])).randbytes(int(arguments[1])))
        elif what == "mirror":
            heard = b""
            while data := connection.recv(65536):
                heard += data
            connection.sendall(heard)
        elif what == "stall":
            time.sleep(float(arguments[0]))
            digest(connection)
        elif what == "call":
            call(*arguments)


def main():
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Small, so that a peer that does not read closes its window soon.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("0.0.0.0", int(sys.argv[1])))
        server.listen(64)
        print("listening", flush=True)
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


main()
