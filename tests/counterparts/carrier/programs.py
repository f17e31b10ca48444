"""Other people's programs for one test: on loopback, in a folder of their own, ended with who started them."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class Programs:
    """A block of programs. When it ends, by itself or by SIGTERM, the last to start is the first to stop."""

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        self.folder = Path(tempfile.mkdtemp(prefix="sidekey-"))
        self.running = []
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for program in reversed(self.running):
            program.terminate()
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        shutil.rmtree(self.folder)

    def start(self, *command, until, env=None):
        """Starts one, and waits for its port; what it says is in a log of its own."""
        log = self.folder / f"{Path(command[0]).name}.log"
        with log.open("wb") as output:
            program = subprocess.Popen(
                command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self.running.append(program)
        deadline = time.monotonic() + PATIENCE_S
        while not listening(until):
            if program.poll() is not None or time.monotonic() > deadline:
                say("failed", program=log.name, log=log.read_text(errors="replace")[-2000:])
                sys.exit(1)
            time.sleep(0.05)

    def serve(self, **where):
        """Tells the test where they are, and stays until the test's end of stdin is closed."""
        say("listening", **where)
        sys.stdin.read()


class Console:
    """A console that one types into, as they have them on a port: a command, and what comes up to the next prompt."""

    def __init__(self, port, prompt):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.prompt = re.compile(prompt.encode() + b"$")
        self.answer()

    def answer(self):
        said = b""
        while not self.prompt.search(said):
            more = self.connection.recv(4096)
            if not more:
                raise EOFError(said)
            said += more
        return said.decode(errors="replace")

    def type(self, command):
        self.connection.sendall(command.encode() + b"\r\n")
        return self.answer()


def say(event, **what):
    print(json.dumps({"event": event, **what}), flush=True)


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def free_ports(names):
    """A free port for each name, no two the same."""
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    ports = {name: held.getsockname()[1] for name, held in sockets.items()}
    for held in sockets.values():
        held.close()
    return ports


def filled(template, **holes):
    """A settings file whose @HOLES@ are filled."""
    text = template.read_text()
    for name, value in holes.items():
        text = text.replace(f"@{name.upper()}@", str(value))
    return text


PATIENCE_S = 120
