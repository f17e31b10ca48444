"""The command line: `python -m client COMMAND`. One JSON document on standard output.

Ends with 0; with 1 where this client refuses, and says {"refused": reason}; with 3 where the service refuses, and
says {"problem": its document}.
"""

import argparse
import base64
import json
import sys
from pathlib import Path

from . import audit, checks, frame, place, sessions
from .events import listen
from .notation import Refused, b64
from .party import OFFER, Party, pair
from .transport import Problem


def check(args):
    tally = checks.run(args.proto)
    return {"held": tally.held, "failed": tally.failed}, 1 if tally.failed else 0


def do_pair(args):
    party, digits = pair(
        args.link, role=args.role, ca=Path(args.ca).read_text(), url=args.url, code=args.code,
        handed_over=args.handed_over, label=args.label, offer=args.offer or OFFER,
    )  # fmt: skip
    party.path = Path(args.profile)
    party.save()
    shown = {name: party.state[name] for name in ("pairing", "service", "role", "server", "user", "state")}
    return shown | {"epoch": party.epoch["epoch"], "digits": digits}


def status(party, args):
    return party.status()


def match(party, args):
    return party.match()


def rekey(party, args):
    party.rekey()
    return {"epoch": party.epoch["epoch"], "not_after": party.epoch["not_after"]}


def session(party, args):
    opened = sessions.open_session(
        party, user=args.user, pairing=args.pairing, ttl=args.ttl, capabilities=args.capability or sessions.CAPABILITIES
    )
    return opened.shown()


def current(party, args):
    return {"items": sessions.current(party, args.user)}


def key(party, args):
    if args.cose:
        return sessions.fetch_cose(party, args.session).shown()
    return sessions.fetch_key(party, args.session, args.generation).shown()


def rotate(party, args):
    return sessions.rotate(party, args.session).shown()


def end(party, args):
    sessions.end(party, args.session)
    return {"ended": args.session}


def policy(party, args):
    return party.fetch_policy(args.user or party.state["user"])


def keys(party, args):
    held = party.follow_keys()
    return {"key": b64(held.key), "number": held.number, "previous": len(held.previous)}


def events(party, args):
    for event in listen(party, args.last):
        print(json.dumps(event), flush=True)
        if args.until and event["event"] == args.until:
            break


def revoke(party, args):
    target = {"kind": "pairing", "pairing": party.state["pairing"]}
    answer = party.ask("POST", "/v1/revocations", {"target": target, "reason": args.reason})
    return answer.json() if answer.body else {}


def log(party, args):
    """Our own entries of the audit log, all pages of it, proven."""
    told, at = [], (0, bytes(32))
    while True:
        answer = party.ask("GET", f"/v1/audit/proof?after={at[0]}").json()
        entries, at = audit.own_entries(answer, party.signing_keys(), party.state["service"], at)
        told += entries
        if "checkpoint" in answer:
            return {"entries": told, "last": at[0], "hash": b64(at[1])}


def place_of(args, sender, number):
    """Where a frame belongs, as the command line says it."""
    if args.append:
        date = place.seconds(args.date) if args.date else None
        return place.append(args.mailbox, args.separator, sender, number, args.flag, date)
    if args.search:
        return place.search(args.mailbox, args.separator, args.uid_validity, sender, number, args.search, args.field)
    partial = tuple(int(part) for part in args.partial.split(".")) if args.partial else None
    return place.fetch(args.mailbox, args.separator, args.uid_validity, args.uid, args.item, partial)


def seal(party, args):
    value = args.value.encode() if args.value is not None else sys.stdin.buffer.read()
    key = sessions.fetch_key(party, args.session)
    number = None
    if args.append or args.search:
        number = args.number or sessions.next_number(party, key)
    at = place_of(args, party.state["pairing"], number)
    sealed = sessions.seal(party, key, at, args.kind, value, args.log2)
    if args.octets:
        sys.stdout.buffer.write(sealed)
        return None
    text = base64.b64encode(sealed).decode()
    return {"frame": text, "session": key.session, "generation": key.generation, "number": number}


def open_(party, args):
    octets = sys.stdin.buffer.read()
    if not args.octets:
        octets = sessions.from_text(octets.decode().strip())
    at = place_of(args, args.sender, args.number)
    generation, kind, value = sessions.open_sealed(party, args.session, at, octets)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = None
    return {"kind": kind, "text": text, "octets": base64.b64encode(value).decode(), "generation": generation}


def add_place(command):
    command.add_argument("--session", required=True)
    command.add_argument("--mailbox", default="INBOX")
    command.add_argument("--separator", default="/")
    command.add_argument("--uid-validity", type=int, default=0)
    command.add_argument("--uid", type=int, default=0)
    command.add_argument("--item", default="BODY[]")
    command.add_argument("--partial", metavar="ORIGIN.COUNT")
    command.add_argument("--append", action="store_true", help="a message that a client appends, in place of an item")
    command.add_argument("--flag", action="append", default=[])
    command.add_argument("--date")
    command.add_argument("--search", metavar="KEY", help="a string that a client searches for, in place of an item")
    command.add_argument("--field")
    command.add_argument("--number", type=int, help="of a client's frame")
    command.add_argument("--octets", action="store_true", help="the frame as octets, not as base64")


def commands():
    parser = argparse.ArgumentParser(prog="client", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profile", default="profile.json", help="where the pairing is kept")
    sub = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name, action, words, alone=False):
        command = sub.add_parser(name, help=words, description=words)
        command.set_defaults(action=action, alone=alone)
        return command

    add("check", check, "hold every vector of proto/ against this client", alone=True).add_argument("proto")
    command = add("pair", do_pair, "pair from an invitation's link and code", alone=True)
    command.add_argument("--role", choices=("client", "server"), default="client")
    command.add_argument("--url", help="where the service is asked, where that is not the link's public URL")
    command.add_argument("--link", required=True)
    command.add_argument("--code", help="for a link without one")
    command.add_argument("--handed-over", action="store_true", help="that code was not sent")
    command.add_argument("--ca", required=True, help="the certificate authority to trust, PEM")
    command.add_argument("--label", default="counterpart")
    command.add_argument("--offer", action="append", help="a suite, best first")
    add("status", status, "our pairing, as the service sees it")
    add("match", match, "say that the service took the digits")
    add("rekey", rekey, "agree on the next epoch")
    command = add("session", session, "open a session, as a server")
    command.add_argument("--user")
    command.add_argument("--pairing")
    command.add_argument("--ttl", type=int)
    command.add_argument("--capability", action="append")
    add("current", current, "list the live sessions").add_argument("--user")
    command = add("key", key, "fetch a session's key and check it")
    command.add_argument("--session", required=True)
    command.add_argument("--generation", type=int)
    command.add_argument("--cose", action="store_true", help="in its short envelope")
    add("rotate", rotate, "make a session's next generation").add_argument("--session", required=True)
    add("end", end, "end a session").add_argument("--session", required=True)
    add("policy", policy, "fetch a user's policy and verify it").add_argument("--user")
    add("keys", keys, "follow the service's signing key")
    command = add("events", events, "tell events, one a line")
    command.add_argument("--until", help="the event to end with")
    command.add_argument("--last", help="the last id that was told")
    add("revoke", revoke, "revoke our own pairing").add_argument("--reason", required=True)
    add("log", log, "our own entries of the audit log, proven")
    command = add("seal", seal, "seal a value for the other side")
    add_place(command)
    command.add_argument("--kind", choices=frame.KINDS, default="literal")
    command.add_argument("--value", help="else standard input")
    command.add_argument("--log2", type=int, default=frame.RECORD_SIZE, help="the record size's logarithm")
    command = add("open", open_, "open what the other side sealed: a frame on standard input")
    add_place(command)
    command.add_argument("--sender", help="the pairing that sent a client's frame")
    return parser


def run(args):
    if args.alone:
        return args.action(args)
    party = Party.load(args.profile)
    result = args.action(party, args)
    if party.verdicts and isinstance(result, dict):
        result["heads"] = party.verdicts
    return result


def main():
    args = commands().parse_args()
    code = 0
    try:
        result = run(args)
    except Refused as refused:
        result, code = {"refused": refused.reason, "detail": str(refused)}, 1
    except Problem as problem:
        result, code = {"problem": problem.document}, 3
    if isinstance(result, tuple):
        result, code = result
    if result is not None:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    return code


if __name__ == "__main__":
    sys.exit(main())
