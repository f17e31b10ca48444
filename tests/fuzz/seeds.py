#!/usr/bin/env python3
"""Where each target begins: inputs made of the contract's vectors and of what clients and servers say.

    seeds.py FOLDER    writes FOLDER/TARGET/NUMBER
"""

import base64
import json
import pathlib
import struct
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


def service():
    """What a key service reads: requests, and its own journal."""
    api = vectors("openapi.json")
    taken = [operation["requestBody"]["content"]["application/json"] for path in api["paths"].values() for operation in path.values()
             if "application/json" in operation.get("requestBody", {}).get("content", {})]
    bodies = [media["example"] for media in taken] + [instance(media["schema"], api["components"]["schemas"]) for media in taken]
    bodies += [case[name] for case in vectors("pairing/vectors.json")["cases"] for name in ("begin", "finish")]
    trace = b"600-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    heads = [
        b"page_size=2&page_token=AAAAAAAAAAE&server=mail.example.org\n0application/json; charset=utf-8\n2a-key-of-sixteen-octets\n" + trace,
        b"user=ann%40example.org&server=mail.example.org&state=active&role=client\n3seq-17\n4\"a0\", W/\"a1\"\n5\"a1\"",
        b"generation=3&dry_run=true&reason=left+in+a+taxi\n0application/json\n1gzip\n2one\n2two\n4*\n5*",
        b"user=%c3%a9&carrier=sms&after=12&until=13&action=session.opened&pairing=5be1a0f3c2d94e8700112233445566aa",
    ]
    # A service's own journal, of a walk like the README's.
    journal = (ROOT / "tests/fuzz/history.journal").read_bytes()
    records, at = [], 64
    while at < len(journal):
        size = struct.unpack_from(">I", journal, at)[0]
        records.append(journal[at + 46:at + 46 + size])
        at += 46 + size + 32
    # Edits: what, where, with what (journal.rs).
    edits = [bytes([what, 0, where, 9]) for what in (*range(8), 128 + 7) for where in (8, 20, 70, 120, 200)]
    return {
        "bodies": [json.dumps(body).encode() for body in bodies],
        "heads": heads,
        "records": records,
        "segments": edits + [one + other for one, other in zip(edits, edits[7:])],
    }


def pdu(command, status, sequence, body=b""):
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def deliver_sm(words, options=b"", esm_class=4):
    addresses = b"\1\x01491700000000\0\1\x01491700000001\0"
    return pdu(5, 0, 7, b"\0" + addresses + bytes([esm_class, 0, 0]) + b"\0\0" + bytes([0, 0, 0, 0, len(words)]) + words + options)


def carriers():
    """What an XDMS, an SMSC and SMS gateways answer, and what clients hear of events."""
    delivery = vectors("delivery/vectors.json")
    error = '<?xml version="1.0" encoding="UTF-8"?><xcap-error xmlns="urn:ietf:params:xml:ns:xcap-error">%s</xcap-error>'
    errors = ['<schema-validation-error phrase="no such element"/>', "<no-parent><ancestor>http://x/y</ancestor></no-parent>", "<not-utf-8/>"]
    digest = 'Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=%s, opaque="o", userhash=true, charset=UTF-8, stale=true'
    challenges = ["Basic realm=\"r\"", *(digest % algorithm for algorithm in ("MD5", "SHA-256", "SHA-512-256", "MD5-sess"))]
    documents = [case["xml"] for case in delivery["documents"]]
    documents.append("<k:keys xmlns:k='urn:sidekey:params:xml:ns:keys'><!-- --><k:envelope a='b'>\n a.b.c.d.e </k:envelope></k:keys>")
    receipt = b"id:0000002a sub:001 dlvrd:001 submit date:2611232233 done date:2611232233 stat:DELIVRD err:000 text:"
    state = b"\x04\x27\0\1\2" + b"\0\x1e\0\3" + b"2a\0"
    pdus = [
        pdu(0x80000009, 0, 1, b"smsc\0" + b"\x02\x10\0\1\x34"), pdu(0x80000004, 0, 2, b"2a\0"), pdu(0x80000004, 0x58, 2, b"\0"),
        pdu(0x15, 0, 3), pdu(0x80000015, 0, 3), pdu(6, 0, 4), pdu(0x80000006, 0, 4), pdu(0x80000000, 2, 5), pdu(0x102, 0, 6, b"\1\x011\0\1\x012\0"),
        deliver_sm(receipt), deliver_sm(b"", state), deliver_sm(b"hello", esm_class=0), deliver_sm(receipt, state)[:-5], pdu(0x103, 0, 8, b"x"),
    ]
    answers = [
        b"202\nContent-Type: text/plain\n\x000: Accepted for delivery", b"200\nX-Id: 2a\n\0{\"messages\": [{\"id\": 42}]}",
        b"200\n\0{id: 2a, done}", b"503\nRetry-After: 120\n\0later", b"429\nRetry-After: Sun, 06 Nov 2033 08:49:37 GMT\n\0",
        b"403\n\0Authorization failed", b"400\n\0Do not try again", b"302\nLocation: http://elsewhere\n\0",
    ]
    reports = [b"ref=2a&d=1\0", b"\0d=16&ref=a%2Db", b'\0{"messages": [{"id": 7, "state": "1"}]}']
    schemas = vectors("openapi.json")["components"]["schemas"]
    events = [f"event: {name}\nid: {at}\ndata: {json.dumps(instance(schema, schemas))}\n\n".encode()
              for at, (name, schema) in enumerate(schemas.items()) if "Event" in name]
    beats = [b": beat\n\n", b"event:x\r\nid: 9\r\ndata:y\r\ndata: z\r\n\r\n", b"retry: 5\nid: 7\n\n", b"".join(events)]
    xcap = [(0, error % inner) for inner in errors] + [(1, "\n".join(challenges))] + [(1, one) for one in challenges]
    xcap += [(2, document) for document in documents]
    return {
        "xcap": [bytes([which]) + text.encode() for which, text in xcap],
        "pdus": chosen(pdus + [b"".join(pdus)]),
        "gateways": [bytes([which]) + answer for answer in answers for which in range(4)] + [b"\x80" + report for report in reports],
        "events": chosen(events + beats),
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
    for target, inputs in (imap() | protocol() | service() | carriers()).items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, octets in enumerate(sorted(set(inputs))):
            (folder / target / f"{number:03}").write_bytes(octets)


if __name__ == "__main__":
    main()
