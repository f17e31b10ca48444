#!/usr/bin/env python3
"""Where each target begins: inputs made of the contract's vectors and of what clients and servers say.

    seeds.py FOLDER    writes FOLDER/TARGET/NUMBER
"""

import base64
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRANSCRIPTS = ROOT / "src/imap/tests/transcripts"

# Octets that direct a talk (imap/script.rs).
CLIENT, SERVER, KEY, NO_KEY, LATE, CONFIRMED, GONE = (bytes([n]) for n in range(1, 8))
# What hands an input in: whole, or in pieces of several sizes.
CHOICES = (b"\0", b"\1", b"\x07", b"\x9f")

SELECTED = [
    CLIENT + b"s SELECT INBOX\r\n",
    SERVER + b"* 9 EXISTS\r\n* OK [UIDVALIDITY 5] valid\r\ns OK [READ-WRITE] done\r\n",
]
GATEWAY = [
    [CLIENT + b"f FETCH 1:2 (FLAGS ENVELOPE BODY[] BODY[1] BODY[2] BODY[TEXT]<0.16384> BINARY[4])\r\n",
     SERVER + b'* 3 EXISTS\r\n* 1 FETCH (UID 7 FLAGS (\\Seen) ENVELOPE ("secret" {6}\r\nse)ret NIL) BODY[] {12}\r\n'
     b'secret\r\n\r\n)* BODY[1] NIL BODY[2] "" BODY[TEXT]<0> {6}\r\nsecret BINARY[4] ~{6}\r\nsecret)\r\nf OK done\r\n'],
    [CLIENT + b"f UID FETCH 7 (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]) (XENCRYPTED)\r\n",
     SERVER + b"* 1 FETCH (UID 7 RFC822.SIZE 12)\r\nf OK done\r\n"],
    [CLIENT + b"f FETCH 1 BODY[]\r\n", KEY, SERVER + b"* 1 FETCH (UID 7 BODY[] {40}\r\nall of this is of nobody's concern", LATE,
     SERVER + b" at all)\r\n* 2 FETCH (UID 8 BODY[] \"neither is this\")\r\nf OK done\r\n"],
    [SERVER + b"* 1 FETCH (UID 7 BODY[] {12}\r\nnobody asked FLAGS (\\Seen) RFC822.SIZE 5 X-GM-LABELS (nobody))\r\n* SEARCH 1\r\n"
     b'* LIST () "/" x\r\n* STATUS x ()\r\n* 5 EXPUNGE\r\n* OK [ALERT] call\r\n'],
    [CLIENT + b"i IDLE\r\n", SERVER + b"* 5 EXISTS\r\n+ idling\r\n* 6 EXI", CLIENT + b"DONE\r\n", SERVER + b"STS\r\ni OK idled\r\n"],
    [CLIENT + b"a STATUS {5}\r\n", CLIENT + b"INBOX (UNSEEN)\r\nb NOOP\r\n", SERVER + b"+ go\r\n", SERVER + b"a OK\r\n", GONE],
    [CLIENT + b"q UID SEARCH RETURN (MIN ALL) OR UNSEEN NOT 1:3 SINCE 1-Feb-2025\r\n",
     SERVER + b'* ESEARCH (TAG "q") UID ALL 1:3,5\r\nq OK done\r\n'],
    [CLIENT + b"e EXAMINE a.b (CONDSTORE)\r\n", SERVER + b'* LIST () "." INBOX\r\ns OK done\r\n', SERVER + b"* OK [UIDVALIDITY 7]\r\ns OK\r\n"],
    [CLIENT + b"x STORE 1 +FLAGS.SILENT (\\Seen)\r\n", SERVER + b"x OK [MODIFIED 1] done\r\n", CLIENT + b"c CLOSE\r\nl LOGOUT\r\n",
     SERVER + b"c OK\r\n", SERVER + b"* BYE\r\nl OK\r\n"],
]
# In what the server says, an octet 14 stands for a frame and the next one says which (imap/agent.rs).
AGENT = [
    [CLIENT + b"q FETCH 7 (BODY.PEEK[] ENVELOPE FLAGS)\r\n",
     SERVER + b"* 7 FETCH (UID 7 ENVELOPE \x0e\xc7 FLAGS (\\Seen) BODY[] \x0e\x27)\r\n", KEY, SERVER + b"s3 OK done\r\n"],
    [CLIENT + b"q FETCH 8:9 (BODY[HEADER] BODY[TEXT] BODY[1])\r\n",
     SERVER + b"* 8 FETCH (UID 8 BODY[HEADER] \x0e\x68 BODY[TEXT] \x0e\x48 BODY[1] \x0e\x88)\r\n", KEY,
     SERVER + b"* 9 FETCH (UID 9 BODY[HEADER] \x0e\x68)\r\ns3 OK done\r\n", SERVER + b"s4 OK\r\n"],
    [CLIENT + b"q FETCH 9 (BODY[]<3.9> UID)\r\n", SERVER + b"* 9 FETCH (UID 9 BODY[]<0> \x0e\x29)\r\ns3 OK done\r\n", KEY],
    [CLIENT + b"q UID FETCH 9 RFC822.SIZE\r\n",
     SERVER + b"* 9 FETCH (UID 9 RFC822.SIZE 5668 BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)] \x0e\xe9)\r\ns3 OK done\r\n", KEY],
    [CLIENT + b"q FETCH 1 BODY[]\r\n", SERVER + b"* 1 FETCH (UID 1 BODY[] {5}\r\nplain)\r\ns3 OK done\r\n"],
    [SERVER + b"* 3 EXPUNGE\r\n" * 5, CONFIRMED, CLIENT + b"n NOOP\r\n", SERVER + b"s3 OK\r\n"],
    [CLIENT + b"a APPEND INBOX (\\Seen) {3+}\r\nabc\r\n", KEY, KEY, SERVER + b"+ go\r\n", SERVER + b"s3 OK [APPENDUID 44 9] done\r\n"],
    [CLIENT + b"q SEARCH SUBJECT zebra UNSEEN\r\n", KEY, KEY, SERVER + b"* SEARCH 1 2\r\ns3 OK\r\n"],
    [CLIENT + b"i IDLE\r\n", SERVER + b"+ idling\r\n* 32 EXISTS\r\n", CLIENT + b"DONE\r\n", SERVER + b"s3 OK\r\n", GONE],
]
LOGINS = [
    b"a CAPABILITY\r\na LOGIN ann s3cret\r\n",
    b"a LOGIN {3}\r\nann {6+}\r\ns3cret\r\n" * 3,
    b"a AUTHENTICATE PLAIN\r\n" + base64.b64encode(b"\0ann\0s3cret") + b"\r\n",
    b"a AUTHENTICATE PLAIN " + base64.b64encode(b"ann\0ann\0s3cret") + b"\r\n",
    b"a STARTTLS\r\nb LOGIN mallory x\r\n",
    b"a APPEND x {5}\r\nb APPEND x {3+}\r\nabc\r\nc ID NIL\r\nd LOGOUT\r\n",
]


def vectors(name):
    return json.loads((ROOT / "proto" / name).read_text())


def responses():
    """The transcript's responses, each with its literals."""
    text = (TRANSCRIPTS / "server.txt").read_bytes()
    starts = [at for at in range(len(text)) if text[at:at + 2] == b"* " and text[max(at - 2, 0):at] in (b"", b"\r\n")]
    return [text[begin:end] for begin, end in zip(starts, starts[1:] + [len(text)])]


def imap():
    asked, said = (TRANSCRIPTS / "client.txt").read_bytes(), responses()
    lines = asked.split(b"\r\n")
    commands = [line + b"\r\n" for line in lines] + [asked]
    names = vectors("object/vectors.json")
    items = [f"a FETCH 1 ({case['item']})\r\n".encode() for case in names["items"] + names["items_refused"]]
    mailboxes = [case["name"].encode("utf-8", "surrogatepass") for case in names["mailboxes"] + names["mailboxes_refused"]]
    return {
        "imap_scanner": chosen(commands + said),
        "imap_commands": chosen(commands + items),
        "imap_responses": chosen(said),
        "imap_ends": chosen(said),
        "imap_login": chosen(LOGINS),
        "imap_mailboxes": mailboxes + [b"Entw&APw-rfe/&U,BTFw-/R&-D", b"inbox/x"],
        "imap_gateway": chosen([b"".join(SELECTED + talk) for talk in GATEWAY]),
        "imap_agent": chosen([b"".join(talk) for talk in AGENT]),
    }


def protocol():
    session, objects = vectors("session/vectors.json"), vectors("object/vectors.json")
    pairing = vectors("pairing/vectors.json")
    schemas = vectors("openapi.json")["components"]["schemas"]
    events = [f"{name}\n{instance(schema, schemas)}" for name, schema in schemas.items() if "Event" in name]
    messages = [instance(schema, schemas) for schema in schemas.values()]
    messages += [case[name] for case in pairing["cases"] for name in ("begin", "begin_answer", "finish", "finish_answer")]
    messages += [case["answer"] for case in vectors("pairing/keys.json")["follow"]]
    words = [case["link"] for case in pairing["cases"]]
    words += ["5be1a0f3c2d94e8700112233445566aa", "mail.example.org", "ann@example.org", "7K3M-Q9ZT", "1234-5678-9012-3456",
              "A1B0-9ZTV-10SY-MB1S-X0Q7", "+491700000000", "https://keys.example.org/kms", "sip:ann@example.org", "admin"]
    sealed = base64.urlsafe_b64decode
    frames = [(at, case["frame"]) for at, case in enumerate(objects["frames"]) if len(case.get("frame", "")) in range(1, 8000)]
    return {
        "messages": [json.dumps(message).encode() for message in messages] + [event.encode() for event in events],
        "words": [word.encode() for word in words],
        "tokens": [case["token"].encode() for case in session["tokens"]["cases"]],
        "policies": [case["jws"].encode() for case in session["policies"]["cases"]],
        "envelopes": [case["jwe"].encode() for of in ("cases", "sets") for case in session["envelopes"][of]],
        "carried": [bytes.fromhex(case["cose"]) for case in session["cose"]["cases"]],
        "frames": [bytes([at]) + sealed(frame + "==") for at, frame in frames],
        "profiles": [json.dumps(profile(session["tokens"])).encode()],
        "configurations": [(ROOT / "config" / name).read_bytes() for name in ("gateway.toml", "agent.toml")],
    }


def profile(tokens):
    """What a phone keeps, under the key of the vectors' tokens."""
    octets = lambda digits: base64.urlsafe_b64encode(bytes.fromhex(digits)).rstrip(b"=").decode()
    return {
        "version": 1, "url": "https://keys.example.org", "service": tokens["service"], "service_key": octets(tokens["key"]["spki"]),
        "pairing": tokens["party"], "role": "client", "server": "mail.example.org", "user": "ann@example.org", "label": "phone",
        "pinned": True, "signing_key": octets(tokens["key"]["pkcs8"]), "root": octets("07" * 32), "epoch": 3,
        "not_after": 1700600000, "offer": ["A256GCM", "C20P"],
    }


def instance(schema, schemas):
    """A message as its schema has it."""
    if "$ref" in schema:
        return instance(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    for known in ("const", "default"):
        if known in schema:
            return schema[known]
    for several in ("examples", "enum", "oneOf", "anyOf"):
        if several in schema:
            return instance(schema[several][0], schemas) if several.endswith("Of") else schema[several][0]
    kinds = schema.get("type", "object")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        return {name: instance(member, schemas) for name, member in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {"type": "null"}), schemas)]
    return {"string": "5be1a0f3c2d94e8700112233445566aa", "integer": schema.get("minimum", 1), "boolean": True}.get(kind)


def chosen(inputs):
    return [choice + octets for octets in inputs for choice in CHOICES]


def main():
    folder = pathlib.Path(sys.argv[1])
    for target, inputs in (imap() | protocol()).items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, octets in enumerate(sorted(set(inputs))):
            (folder / target / f"{number:03}").write_bytes(octets)


if __name__ == "__main__":
    main()
