"""OsmoMSC with an SMSC in it, and OsmoHLR with some phones. usage: python3 -m osmocom.start NUMBER IMSI [NUMBER IMSI …]

Ports 4222, 4254, 4255, 4258, 4259 and 29118 are theirs: one at a time on a machine.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

from programs import Console, Programs, filled, free_ports

HERE = Path(__file__).parent
HLR_CONSOLE = 4258


def phones(numbers):
    console = Console(HLR_CONSOLE, "OsmoHLR[>#] ")
    console.type("enable")
    for number, imsi in zip(numbers[::2], numbers[1::2], strict=True):
        console.type(f"subscriber imsi {imsi} create")
        console.type(f"subscriber imsi {imsi} update msisdn {number}")


def kernel_has_sctp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def environment(folder):
    """Where the kernel has no SCTP, its sockets are TCP's, by a library that is loaded first."""
    if kernel_has_sctp():
        return os.environ
    library = folder / "sctp.so"
    subprocess.run(["gcc", "-O1", "-Wall", "-shared", "-fPIC", "-o", library, HERE / "sctp.c"], check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}


with Programs() as programs:
    smpp = free_ports(["smpp"])["smpp"]
    for name in ("osmo-hlr.cfg", "osmo-msc.cfg"):
        (programs.folder / name).write_text(filled(HERE / name, smpp=smpp))
    programs.start("osmo-hlr", "-c", "osmo-hlr.cfg", "-l", "hlr.db", until=HLR_CONSOLE)
    phones(sys.argv[1:])
    programs.start("osmo-msc", "-c", "osmo-msc.cfg", until=smpp, env=environment(programs.folder))
    programs.serve(smpp=smpp)
