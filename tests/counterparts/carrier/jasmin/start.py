"""Jasmin, with the redis and the RabbitMQ that it needs, in front of an SMSC. usage: python3 -m jasmin.start SMSC_PORT

Its users log in as kms, with the password secret, by SMPP and by HTTP; so does it at the SMSC.
"""

import os
import sys
from pathlib import Path

from programs import Console, Programs, filled, free_ports

HERE = Path(__file__).parent
VENV = HERE / ".venv"
PROVISION = """
group -a
gid all
ok
user -a
username kms
password secret
gid all
uid kms
mt_messaging_cred valuefilter content .*
ok
smppccm -a
cid smsc
host 127.0.0.1
port {smsc}
username kms
password secret
bind transceiver
submit_throughput 0
ok
smppccm -1 smsc
mtrouter -a
type DefaultRoute
connector smppc(smsc)
rate 0.0
ok
"""


def rabbitmq(folder, ports):
    """Its settings: all in this folder, and all on loopback, its port mapper too."""
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{ports['amqp']}\n")
    (folder / "plugins").write_text("[].\n")
    return {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_NODENAME": "sidekey@localhost",
        "RABBITMQ_DIST_PORT": str(ports["dist"]),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        # In the foreground, in its own process.
        "RUNNING_UNDER_SYSTEMD": "1",
    }


def jasmin(folder, ports):
    """Its settings. Its wheel lacks the AMQP specification that it wants: txamqp has the same."""
    [spec] = VENV.glob("lib/python3*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
    (folder / "jasmin.cfg").write_text(filled(HERE / "jasmin.cfg", folder=folder, spec=spec, **ports))
    paths = ("CONFIG_PATH", "LOG_PATH", "STORE_PATH", "ROOT_PATH", "RESOURCE_PATH")
    return {**os.environ, **dict.fromkeys(paths, str(folder))}


with Programs() as programs:
    folder = programs.folder
    ports = free_ports(["amqp", "clients", "console", "dist", "epmd", "http", "pb", "redis", "router", "smpp"])
    redis = ["--bind", "127.0.0.1", "--port", str(ports["redis"]), "--save", "", "--appendonly", "no"]
    programs.start("redis-server", *redis, until=ports["redis"])
    programs.start("epmd", "-address", "127.0.0.1", "-port", str(ports["epmd"]), until=ports["epmd"])
    programs.start("/usr/lib/rabbitmq/bin/rabbitmq-server", until=ports["amqp"], env=rabbitmq(folder, ports))
    daemon = [VENV / "bin/python", HERE / "daemon.py", VENV / "bin/jasmind.py", "-c", folder / "jasmin.cfg"]
    env = jasmin(folder, ports)
    programs.start(*daemon, "--enable-dlr-lookup", "--enable-dlr-thrower", until=ports["console"], env=env)
    console = Console(ports["console"], r"(Session ref: \d+\s+|jcli : |> )")
    for line in PROVISION.format(smsc=sys.argv[1]).strip().splitlines():
        print(console.type(line), file=sys.stderr)
    programs.serve(smpp=ports["smpp"], http=ports["http"])
