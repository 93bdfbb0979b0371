#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""remote.py: what mpirun takes for ssh between the guests of vm.sh.

    remote.py serve               runs what comes until `remote.py end HOST`
    remote.py run HOST COMMAND    in a shell there; prints what it prints
"""
import os
import socket
import subprocess
import sys
import time

PORT = 5022


def serve():
    with socket.create_server(("", PORT)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                command = connection.makefile("rb", 0).readline().decode()
                if not command.strip():
                    return
                subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL,
                                 stdout=connection, stderr=connection,
                                 start_new_session=True)


def connect(host):
    for _ in range(100):
        try:
            return socket.create_connection((host, PORT))
        except OSError:  # not up yet
            time.sleep(0.1)
    sys.exit(f"remote.py: {host} does not answer")


def send(host, command):
    with connect(host) as connection:
        connection.sendall(command.encode() + b"\n")
        while data := connection.recv(65536):
            os.write(sys.stdout.fileno(), data)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["run", host, *command]:
            send(host, " ".join(command))
        case ["end", host]:
            send(host, "")
        case _:
            sys.exit(__doc__)
