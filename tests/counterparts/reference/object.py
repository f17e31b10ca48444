#!/usr/bin/env python3
"""Frames, written from proto/object/spec.md alone; makes and checks proto/object/vectors.json.

    object.py --check FILE    every vector is what this program makes, opens or refuses as it says
    object.py --write FILE    writes them
"""
import base64
import hashlib
import hmac
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from vectors import command

SUITES = {"A256GCM": (1, AESGCM), "C20P": (2, ChaCha20Poly1305)}
TYPES = {"header-like": 1, "body": 2, "partial": 3}
LEAST = {"header-like": 1024, "body": 4096}
KINDS = {"NIL": 0, "quoted": 1, "literal": 2, "literal8": 3, "list": 4}
VALUE_MAX = 2**32 - 1
WHOLE = 2**64 - 1
STEP, COUNT_MAX = 16384, 2**20


class Refused(Exception):
    """Carries the reason."""


def refuse_if(condition, reason):
    if condition:
        raise Refused(reason)


# --- notation -------------------------------------------------------------------------------------------------------


def lp(label, *fields):
    parts = [b"sidekey/1 " + label.encode(), *fields]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def derive(key, label, *fields):
    return hmac.new(key, lp(label, *fields) + b"\x01", hashlib.sha256).digest()


def extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def sha256(octets):
    return hashlib.sha256(octets).digest()


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- section 1: keys ------------------------------------------------------------------------------------------------


def object_keys(agreed):
    fields = [
        bytes([SUITES[agreed["suite"]][0]]),
        unb64(agreed["policy_hash"]),
        unb64(agreed["capabilities_hash"]),
        unb64(agreed["offer_hash"]),
        bytes.fromhex(agreed["session"]),
        struct.pack(">I", agreed["generation"]),
    ]
    root = unb64(agreed["session_key"])
    return {way: derive(root, f"object {way}", *fields) for way in ("s2c", "c2s")}


# --- section 3: context ---------------------------------------------------------------------------------------------


def mailbox_name(name, separator):
    refuse_if(not name or len(name.encode()) > 4096 or re.search("[\0\r\n]", name), "mailbox_malformed")
    levels = name.split(separator) if separator else [name]
    if re.fullmatch("inbox", levels[0], re.I | re.A):
        levels[0] = "INBOX"
    return "\0".join(levels)


PART = r"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*"
SECTION = re.compile(
    rf"(?P<name>BODY|BINARY)(?:\.PEEK)?\[(?:(?P<part>{PART})(?P<dot>\.)?)?"
    r"(?P<text>|HEADER|TEXT|MIME|(?P<fields>HEADER\.FIELDS(?:\.NOT)?) +\((?P<list>.*)\))\]",
    re.I | re.A,
)
FIELD = re.compile(r"""(?:"(?P<quoted>(?:[^"\\]|\\["\\])*)"|(?P<atom>[!#$&'+-\[\]-z|}~]+))(?: +|$)""")


def field_names(text):
    names, at = set(), len(text) - len(text.lstrip(" "))
    while at < len(text):
        found = FIELD.match(text, at)
        refuse_if(not found, "item_malformed")
        name = found["atom"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])
        refuse_if(not re.fullmatch(r"[!-9;-~]+", name), "item_malformed")
        names.add(name.upper())
        at = found.end()
    refuse_if(not names, "item_malformed")
    return " ".join(sorted(names))


def item_name(item):
    """Canonical item, type of frame when whole, whether it has partials."""
    refuse_if(len(item.encode()) > 8192 or not item.isascii(), "item_malformed")
    upper = item.upper()
    if upper in ("BODY", "BODYSTRUCTURE", "ENVELOPE", "PREVIEW", "PREVIEW (LAZY)", "SNIPPET", "THREADID"):
        return upper, "header-like", False
    aliases = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}
    found = SECTION.fullmatch(aliases.get(upper, item))
    refuse_if(not found, "item_malformed")
    name, part, text = found["name"].upper(), found["part"] or "", found["text"].upper()
    refuse_if(any(int(number) > 2**32 - 1 for number in part.split(".") if number), "item_malformed")
    refuse_if(bool(part and text) != bool(found["dot"]), "item_malformed")
    refuse_if(text == "MIME" and not part, "item_malformed")
    refuse_if(name == "BINARY" and text, "item_malformed")
    if found["fields"]:
        text = f"{found['fields'].upper()} ({field_names(found['list'])})"
    kind = "body" if text in ("", "TEXT") else "header-like"
    return f"{name}[{part}{'.' if part and text else ''}{text}]", kind, True


def context(place):
    """The 96 octets, the type of frame and the count."""
    item, kind, has_partial = item_name(place["item"])
    position, extent = 0, WHOLE
    if place.get("partial"):
        refuse_if(not has_partial, "partial_misplaced")
        position, extent = place["partial"]
        refuse_if(extent > COUNT_MAX, "partial_too_long")
        refuse_if(extent == 0 or position % STEP or extent % STEP, "partial_unaligned")
        kind = "partial"
    mailbox = mailbox_name(place["mailbox"], place["separator"]).encode()
    octets = struct.pack(
        ">BBHI32sQQ32sQ",
        1,
        0,
        0,
        place["uid_validity"],
        sha256(mailbox),
        place["uid"],
        position,
        sha256(item.encode()),
        extent,
    )
    assert len(octets) == 96
    return octets, kind, extent


CONTEXT_FIELDS = [
    ("other_kind", 0, 1),
    ("other_flags", 1, 2),
    ("context_reserved", 2, 4),
    ("other_uid_validity", 4, 8),
    ("other_mailbox", 8, 40),
    ("other_subject", 40, 48),
    ("other_position", 48, 56),
    ("other_item", 56, 88),
    ("other_extent", 88, 96),
]


# --- sections 2 and 4: records, padding -----------------------------------------------------------------------------


def padme(length):
    e = length.bit_length() - 1
    s = e.bit_length()
    step = 1 << (e - s)
    return -(-length // step) * step


def padded_length(kind, n, count):
    return 8 + 1 + count if kind == "partial" else max(padme(8 + n), LEAST[kind])


def frame_length(kind, value_octets, count, log2):
    padded = padded_length(kind, 1 + value_octets, count)
    return 42 + 96 + padded + 16 * -(-padded // (1 << log2))


def header(kind, agreed, log2, salt):
    fixed = bytes([1, TYPES[kind], SUITES[agreed["suite"]][0], log2])
    return b"XE" + fixed + bytes.fromhex(agreed["session"]) + struct.pack(">I", agreed["generation"]) + salt


def frame_cipher(key, suite, salt, head, place):
    return SUITES[suite][1](derive(extract(salt, key), "frame", head, place))


def nonce(number, last):
    return number.to_bytes(11, "big") + bytes([last])


def seal_plaintext(agreed, place, log2, salt, plaintext, way="s2c", lasts=None):
    """`lasts`: which records carry the final flag, when it is not the last alone."""
    octets, kind, _ = context(place)
    head = header(kind, agreed, log2, salt)
    cipher = frame_cipher(object_keys(agreed)[way], agreed["suite"], salt, head, octets)
    size = 1 << log2
    pieces = [plaintext[at : at + size] for at in range(0, len(plaintext), size)]
    lasts = {len(pieces) - 1} if lasts is None else lasts
    records = [cipher.encrypt(nonce(i, i in lasts), piece, b"") for i, piece in enumerate(pieces)]
    return head + octets + b"".join(records)


def plaintext_of(place, kind_octet, value, n=None, padded=None):
    _, kind, count = context(place)
    n = 1 + len(value) if n is None else n
    text = struct.pack(">QB", n, kind_octet) + value
    return text.ljust(padded or padded_length(kind, 1 + len(value), count), b"\0")


def seal(agreed, place, kind, value, log2, salt):
    return seal_plaintext(agreed, place, log2, salt, plaintext_of(place, KINDS[kind], value))


def open_frame(agreed, place, frame):
    expected, kind, count = context(place)
    refuse_if(len(frame) < 138, "truncated")
    head, found, records = frame[:42], frame[42:138], frame[138:]
    magic, version, type_, suite, log2 = struct.unpack(">2sBBBB", head[:6])
    refuse_if(magic != b"XE", "not_a_frame")
    refuse_if(version != 1, "version_unknown")
    refuse_if(type_ not in TYPES.values(), "type_unknown")
    refuse_if(suite not in (1, 2), "suite_unknown")
    refuse_if(not 12 <= log2 <= 20, "record_size_out_of_bounds")
    refuse_if(head[6:22].hex() != agreed["session"], "other_session")
    refuse_if(head[22:26] != struct.pack(">I", agreed["generation"]), "other_generation")
    refuse_if(suite != SUITES[agreed["suite"]][0], "other_suite")
    refuse_if(type_ != TYPES[kind], "other_type")
    for reason, start, end in CONTEXT_FIELDS:
        refuse_if(expected[start:end] != found[start:end], reason)
    cipher = frame_cipher(object_keys(agreed)["s2c"], agreed["suite"], head[26:42], head, found)
    return open_records(cipher, records, kind, count, 1 << log2)


def open_records(cipher, records, kind, count, size):
    sealed = lambda padded: padded + 16 * -(-padded // size)
    total = sealed(padded_length(kind, 1, count)) if kind == "partial" else None
    value, at, number, left, value_kind = b"", 0, 0, None, None
    while True:
        end = at + size + 16
        piece = records[at : end if total is None else min(end, total)]
        at += len(piece)
        last = at == len(records)
        refuse_if(not last and at == total, "overlong")
        refuse_if(last and at < (total or LEAST[kind] + 16), "truncated")
        try:
            text = cipher.decrypt(nonce(number, last), piece, b"")
        except InvalidTag:
            raise Refused("record_unverified" if number else "first_record_unverified") from None
        if number == 0:
            n, value_kind = struct.unpack(">QB", text[:9])
            text = text[9:]
            refuse_if(n == 0, "length_zero")
            refuse_if(n - 1 > VALUE_MAX, "length_excessive")
            refuse_if(kind == "partial" and n - 1 > count, "count_exceeded")
            refuse_if(value_kind not in KINDS.values(), "kind_unknown")
            refuse_if(value_kind == 0 and n > 1, "nil_with_value")
            total = sealed(padded_length(kind, n, count))
            refuse_if(total < at or (total == at and not last), "overlong")
            refuse_if(total > at and last, "truncated")
            left = n - 1
        value += text[:left]
        refuse_if(any(text[left:]), "padding_altered")
        left -= min(left, len(text))
        number += 1
        if last:
            return [name for name, octet in KINDS.items() if octet == value_kind][0], value


# --- the vectors ----------------------------------------------------------------------------------------------------


def named(name, size=32):
    return hashlib.shake_256(("sidekey object vectors: " + name).encode()).digest(size)


def agreed(name, suite, generation, **other):
    fields = {
        "session_key": b64(named("session key")),
        "suite": suite,
        "policy_hash": b64(named("policy")),
        "capabilities_hash": b64(named("capabilities")),
        "offer_hash": b64(named("offer")),
        "session": named("session", 16).hex(),
        "generation": generation,
    }
    fields.update(other)
    keys = object_keys(fields)
    return name, {**fields, "s2c": b64(keys["s2c"]), "c2s": b64(keys["c2s"])}


def all_agreed():
    return dict(
        [
            agreed("aes", "A256GCM", 0),
            agreed("chacha", "C20P", 0),
            agreed("rotated", "A256GCM", 7),
            agreed("of several", "A256GCM", 0, offer_hash=b64(bytes(32))),
            agreed("other policy", "A256GCM", 0, policy_hash=b64(named("policy 2"))),
            agreed("other capabilities", "A256GCM", 0, capabilities_hash=b64(named("capabilities 2"))),
            agreed("other session", "A256GCM", 0, session=named("session 2", 16).hex()),
            agreed("other session key", "A256GCM", 0, session_key=b64(named("session key 2"))),
        ]
    )


MAILBOXES = [
    ("INBOX", None),
    ("inbox", "/"),
    ("InBoX.Drafts.inbox", "."),
    ("inboxes", "/"),
    ("inbox/Drafts", "."),
    ("Archive/2026/Ärger", "/"),
    ("受信箱", None),
    ("a/b", None),
    ("\u0131nbox", "/"),
]
MAILBOXES_REFUSED = [("", "/"), ("a\0b", "/"), ("a\r\nb", None), ("a\nb", None), ("x" * 4097, "/")]

ITEMS = [
    "ENVELOPE",
    "bodystructure",
    "Body",
    "PREVIEW",
    "preview (lazy)",
    "SNIPPET",
    "THREADID",
    "RFC822",
    "rfc822.header",
    "RFC822.TEXT",
    "BODY[]",
    "BODY.PEEK[]",
    "body.peek[header]",
    "BODY[TEXT]",
    "BODY[1]",
    "BODY[1.2.3]",
    "BODY[1.mime]",
    "BODY[4294967295.HEADER]",
    "BODY[2.TEXT]",
    "BINARY[]",
    "binary.peek[1.2]",
    "BODY[HEADER.FIELDS (To From)]",
    "BODY.PEEK[HEADER.FIELDS  ( to  \"From\" FROM tO )]",
    "BODY[3.1.HEADER.FIELDS.NOT (x-b x-A x-a1)]",
    'BODY[HEADER.FIELDS ("a\\"b" "c\\\\d" "(e)" f]g)]',
    "BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]",
]
ITEMS_REFUSED = [
    "",
    " ENVELOPE",
    "ENVELOPE ",
    "FLAGS",
    "RFC822.SIZE",
    "RFC822.PEEK",
    "RFC822[]",
    "BODY.PEEK",
    "BINARY",
    "BINARY.SIZE[1]",
    "BODY[",
    "BODY[]]",
    "BODY []",
    "BODY[ ]",
    "BODY[]<0.16384>",
    "BODY[]<0>",
    "BODY[0]",
    "BODY[01]",
    "BODY[1.]",
    "BODY[.1]",
    "BODY[1..2]",
    "BODY[1.0.TEXT]",
    "BODY[4294967296]",
    "BODY[1TEXT]",
    "BODY[1 TEXT]",
    "BODY[TEXT.1]",
    "BODY[MIME]",
    "BODY[BODY]",
    "BODY[HEADER.FIELDS]",
    "BODY[HEADER.FIELDS(TO)]",
    "BODY[HEADER.FIELDS ()]",
    "BODY[HEADER.FIELDS ( )]",
    "BODY[HEADER.FIELDS TO]",
    "BODY[HEADER.FIELDS (TO]",
    "BODY[HEADER.FIELDS (TO (CC))]",
    "BODY[HEADER.FIELDS (TO:)]",
    "BODY[HEADER.FIELDS (T%)]",
    "BODY[HEADER.FIELDS (T*)]",
    'BODY[HEADER.FIELDS ("")]',
    'BODY[HEADER.FIELDS ("A B")]',
    'BODY[HEADER.FIELDS ("A)]',
    'BODY[HEADER.FIELDS ("A""B")]',
    'BODY[HEADER.FIELDS (A"B")]',
    'BODY[HEADER.FIELDS ("A\\B")]',
    "BODY[HEADER.FIELDS (TO\tCC)]",
    "BODY[HEADER.FIELDS ({2}\r\nTO)]",
    "BODY[HEADER.FIELDS (Ä)]",
    "BODY[HEADER.FIELDS.NOT.X (TO)]",
    "BINARY[TEXT]",
    "BINARY[1.TEXT]",
    "BINARY[1.]",
    "BODY[" + "1." * 4096 + "1]",
]
PARTIALS_REFUSED = [
    ("ENVELOPE", 0, 16384, "partial_misplaced"),
    ("BODY", 0, 16384, "partial_misplaced"),
    ("BODY[]", 0, 0, "partial_unaligned"),
    ("BODY[]", 0, 100, "partial_unaligned"),
    ("BODY[]", 1, 16384, "partial_unaligned"),
    ("BODY[]", 0, 1064960, "partial_too_long"),
]


def at(item, partial=None, **other):
    return {
        "mailbox": "INBOX",
        "separator": "/",
        "uid_validity": 1780000000,
        "uid": 4711,
        "item": item,
        "partial": partial,
        **other,
    }


def frame_cases():
    """name, what it proves, keys, place, kind, repeated octets, value octets, log2 of the record size"""
    text = b"Gr\xc3\xbc\xc3\x9fe, \x00 \xff\r\n"
    cases = []
    for suite in ("aes", "chacha"):
        for kind, octets in (("NIL", 0), ("quoted", 0), ("quoted", 12), ("literal", 1000), ("literal8", 1015), ("list", 300)):
            cases.append((f"{suite}, {kind} of {octets}", "every kind, and empty is not NIL", suite, at("ENVELOPE"), kind, text, octets, 16))
        cases.append((f"{suite}, body", "a body is padded to 4,096 octets", suite, at("BODY[]"), "literal", text, 777, 16))
        cases.append((f"{suite}, three records", "records, the last one short", suite, at("BODY[TEXT]"), "literal", text, 9000, 12))
    cases += [
        ("partial", "a partial is as long as the count, whatever it holds", "chacha", at("BODY[]", [16384, 16384]), "literal", text, 100, 12),
        ("header-like, 1,016 octets", "the first length past 1,024 octets", "aes", at("BODY[HEADER]"), "literal", text, 1016, 12),
        ("header-like, 1,079 octets", "Padmé's step is 64 octets here", "aes", at("BODY[1.MIME]"), "literal", text, 1079, 12),
        ("header-like, 1,080 octets", "one octet more is one step more", "aes", at("BODY[1.MIME]"), "literal", text, 1080, 12),
        ("one full record", "a full record can be the last", "aes", at("BODY[1]"), "literal", text, 4087, 12),
        ("one octet more than a record", "the second record is padding but for an octet", "aes", at("BODY[1]"), "literal", text, 4088, 12),
        ("two full records", "the final record is full, and none follows", "chacha", at("BINARY[1]"), "literal8", text, 8183, 12),
        ("a partial filled to its count", "no padding at all", "aes", at("BINARY.PEEK[2]", [0, 16384]), "literal8", text, 16384, 16),
        ("another place", "mailbox in its one spelling, largest numbers", "rotated",
         at("body.peek[header.fields (to \"From\")]", mailbox="inbox.Ärger", separator=".", uid=2**32 - 1, uid_validity=2**32 - 1), "literal", text, 60, 16),
        ("largest records", "records of 1 MiB", "of several", at("PREVIEW"), "quoted", text, 200, 20),
    ]
    return cases


def value_of(case):
    repeat, octets = unb64(case["value_repeat"]), case["value_octets"]
    return (repeat * (octets // len(repeat) + 1))[:octets]


def frames(keys):
    made = []
    for name, proves, key, place, kind, repeat, octets, log2 in frame_cases():
        case = {
            "name": name,
            "proves": proves,
            "keys": key,
            "place": place,
            "kind": kind,
            "value_repeat": b64(repeat),
            "value_octets": octets,
            "record_size_log2": log2,
            "salt": b64(named("salt " + name, 16)),
            "context": b64(context(place)[0]),
        }
        frame = seal(keys[key], place, kind, value_of(case), log2, unb64(case["salt"]))
        assert len(frame) == frame_length(context(place)[1], octets, context(place)[2], log2)
        made.append({**case, "frame": b64(frame)})
    return made


def mangled(case, frames_by_name):
    """The octets of a case that must be refused."""
    if "frame" in case:
        return unb64(case["frame"])
    octets = bytearray(unb64(frames_by_name[case["of"]]["frame"]))
    change = case.get("change", {})
    if "xor" in change:
        octets[change["at"]] ^= change["xor"]
    if "cut" in change:
        del octets[change["cut"] :]
    if "append" in change:
        octets += unb64(change["append"])
    if "records" in change:
        size = 16 + (1 << octets[5])
        records = [octets[i : i + size] for i in range(138, len(octets), size)]
        octets = octets[:138] + b"".join(records[i] for i in change["records"])
    return bytes(octets)


def refused_frames(keys, by_name):
    base, long, part = "aes, literal of 1000", "aes, three records", "partial"
    longest = len(unb64(by_name[long]["frame"]))
    whole = len(unb64(by_name[base]["frame"]))
    cases = []

    def add(name, of, reason, **more):
        cases.append({"name": name, "of": of, **more, "reason": reason})

    def change(name, of, reason, **what):
        add(name, of, reason, change=what)

    header_fields = [
        ("magic", 0, 1, "not_a_frame"), ("version", 2, 3, "version_unknown"), ("type of no frame", 3, 0x80, "type_unknown"),
        ("type of another item", 3, 3, "other_type"), ("suite unknown", 4, 2, "suite_unknown"), ("suite of the others", 4, 3, "other_suite"),
        ("record size too small", 5, 0x1B, "record_size_out_of_bounds"), ("record size too large", 5, 0x05, "record_size_out_of_bounds"),
        ("record size of another frame", 5, 0x01, "first_record_unverified"), ("session", 6, 1, "other_session"),
        ("generation", 25, 1, "other_generation"), ("salt", 26, 1, "first_record_unverified"),
    ]
    for name, where, mask, reason in header_fields:
        change(f"altered: {name}", base, reason, at=where, xor=mask)
    for reason, start, end in CONTEXT_FIELDS:
        change(f"altered: context, {start} to {end - 1}", base, reason, at=42 + end - 1, xor=1)
    for name, where in (("length", 138), ("kind", 146), ("value", 147), ("padding", whole - 17), ("tag", whole - 1)):
        change(f"altered: {name}", base, "first_record_unverified", at=where, xor=1)
    change("altered: a later record", long, "record_unverified", at=138 + 4112, xor=1)
    change("altered: the final tag", long, "record_unverified", at=longest - 1, xor=1)

    for cut in (0, 1, 41, 42, 137, 138, 139, whole - 1):
        change(f"cut to {cut}", base, "truncated", cut=cut)
    change("cut inside a longer first record", "header-like, 1,080 octets", "first_record_unverified",
           cut=len(unb64(by_name["header-like, 1,080 octets"]["frame"])) - 1)
    for records in (2,):
        change(f"cut after {records} records", long, "truncated", cut=138 + records * 4112)
    change("cut after the first record", long, "first_record_unverified", cut=138 + 4112)
    change("cut inside the second record", long, "truncated", cut=138 + 4112 + 100)
    change("cut by one octet", long, "truncated", cut=longest - 1)
    change("partial cut after a record", part, "truncated", cut=138 + 4112)
    change("partial cut by one octet", part, "truncated", cut=len(unb64(by_name[part]["frame"])) - 1)
    change("an octet after a single record", base, "first_record_unverified", append=b64(b"\0"))
    change("an octet after the final record", long, "overlong", append=b64(b"\0"))
    change("an octet after a partial", part, "overlong", append=b64(b"\0"))
    change("first record dropped", long, "first_record_unverified", records=[1, 2])
    change("middle record dropped", long, "truncated", records=[0, 2])
    change("records swapped", long, "record_unverified", records=[0, 2, 1])
    change("first two swapped", long, "first_record_unverified", records=[1, 0, 2])
    change("record doubled", long, "record_unverified", records=[0, 0, 2])
    change("record added", long, "overlong", records=[0, 1, 1, 2])

    for name, more, reason in [
        ("another mailbox asked", {"mailbox": "Archive"}, "other_mailbox"),
        ("another level asked", {"mailbox": "INBOX/x"}, "other_mailbox"),
        ("mailbox numbered anew", {"uid_validity": 1780000001}, "other_uid_validity"),
        ("another message asked", {"uid": 4712}, "other_subject"),
        ("another item asked", {"item": "BODYSTRUCTURE"}, "other_item"),
        ("another type asked", {"item": "BODY[]"}, "other_type"),
    ]:
        add(name, base, reason, place={**by_name[base]["place"], **more})
    add("another origin asked", part, "other_position", place=at("BODY[]", [0, 16384]))
    add("a longer range asked", part, "other_extent", place=at("BODY[]", [16384, 32768]))
    add("the whole asked", part, "other_type", place=at("BODY[]"))
    for name, reason in [
        ("chacha", "other_suite"), ("rotated", "other_generation"), ("other session", "other_session"),
        ("of several", "first_record_unverified"), ("other policy", "first_record_unverified"),
        ("other capabilities", "first_record_unverified"), ("other session key", "first_record_unverified"),
    ]:
        add(f"opened with keys: {name}", base, reason, keys=name)

    def crafted(name, reason, place, plaintext, log2=12, way="s2c", lasts=None):
        frame = seal_plaintext(keys["aes"], place, log2, named("salt " + name, 16), plaintext, way, lasts)
        cases.append({"name": name, "keys": "aes", "place": place, "frame": b64(frame), "reason": reason})

    envelope, text, body = at("ENVELOPE"), at("BODY[TEXT]"), b"body of a message"
    crafted("reflected", "first_record_unverified", envelope, plaintext_of(envelope, 2, body), way="c2s")
    crafted("length zero", "length_zero", envelope, plaintext_of(envelope, 2, body, n=0))
    crafted("length 2^64-1", "length_excessive", envelope, plaintext_of(envelope, 2, body, n=2**64 - 1))
    crafted("length past the limit", "length_excessive", envelope, plaintext_of(envelope, 2, body, n=2**32 + 1))
    crafted("length at the limit", "truncated", envelope, plaintext_of(envelope, 2, body, n=2**32))
    crafted("length one too small", "padding_altered", envelope, plaintext_of(envelope, 2, body, n=len(body)))
    crafted("length one too large for its padding", "truncated", envelope, plaintext_of(envelope, 2, bytes(1015), n=1017, padded=1024))
    crafted("padded further than its length allows", "overlong", envelope, plaintext_of(envelope, 2, body, padded=1088))
    crafted("padded by a record more", "overlong", text, plaintext_of(text, 2, body, padded=8192))
    crafted("first record not marked final", "first_record_unverified", text, plaintext_of(text, 2, body), lasts=set())
    crafted("final flag too early", "truncated", text, plaintext_of(text, 2, bytes(6000), padded=4096 * 1)[:4096])
    crafted("final flag in the middle", "record_unverified", text, plaintext_of(text, 2, bytes(9000)), lasts={1})
    crafted("padding altered", "padding_altered", envelope, plaintext_of(envelope, 2, body)[:-1] + b"\x01")
    crafted("padding altered in the last record", "padding_altered", text, plaintext_of(text, 2, bytes(6000))[:-1] + b"\x80")
    crafted("kind unknown", "kind_unknown", envelope, plaintext_of(envelope, 5, body))
    crafted("NIL with a value", "nil_with_value", envelope, plaintext_of(envelope, 0, body))
    ranged = at("BODY[]", [0, 16384])
    crafted("more than the count", "count_exceeded", ranged, plaintext_of(ranged, 2, body, n=16386))
    return cases


def reason_of(call, *args):
    try:
        call(*args)
    except Refused as refused:
        return str(refused)
    return None


def make():
    keys = all_agreed()
    made = frames(keys)
    by_name = {case["name"]: case for case in made}
    lengths = [
        (kind, octets, count, log2)
        for kind, octets, count in [
            ("header-like", 0, 0), ("header-like", 1015, 0), ("header-like", 1016, 0), ("header-like", 1024, 0),
            ("header-like", 100000, 0), ("body", 0, 0), ("body", 4087, 0), ("body", 4088, 0), ("body", 1 << 20, 0),
            ("body", VALUE_MAX, 0), ("partial", 0, 16384), ("partial", 16384, 16384), ("partial", 5, 1 << 20),
        ]
        for log2 in (12, 16, 20)
    ]
    return {
        "about": "Frames (proto/object/spec.md), made by tests/counterparts/reference/object.py. A value is value_repeat, repeated and cut to value_octets.",
        "keys": keys,
        "mailboxes": [
            {"name": name, "separator": sep, "canonical": mailbox_name(name, sep), "sha256": b64(sha256(mailbox_name(name, sep).encode()))}
            for name, sep in MAILBOXES
        ],
        "mailboxes_refused": [{"name": name, "separator": sep, "reason": reason_of(mailbox_name, name, sep)} for name, sep in MAILBOXES_REFUSED],
        "items": [dict(zip(("item", "canonical", "type", "has_partial"), (item, *item_name(item)))) for item in ITEMS],
        "items_refused": [{"item": item, "reason": reason_of(item_name, item)} for item in ITEMS_REFUSED],
        "partials_refused": [{"item": i, "origin": o, "count": c, "reason": r} for i, o, c, r in PARTIALS_REFUSED],
        "lengths": [
            {"type": kind, "value_octets": octets, "count": count, "record_size_log2": log2, "frame_octets": frame_length(kind, octets, count, log2)}
            for kind, octets, count, log2 in lengths
        ],
        "frames": made,
        "refused": refused_frames(keys, by_name),
    }


def check_one_another(vectors):
    """Opens what must open and has refused what must be refused, each for its reason."""
    by_name = {case["name"]: case for case in vectors["frames"]}
    assert len(by_name) == len(vectors["frames"]), "names are unique"
    for case in vectors["frames"]:
        kind, value = open_frame(vectors["keys"][case["keys"]], case["place"], unb64(case["frame"]))
        assert (kind, value) == (case["kind"], value_of(case)), case["name"]
    for case in vectors["refused"]:
        of = by_name.get(case.get("of"), {})
        keys = vectors["keys"][case.get("keys") or of["keys"]]
        reason = reason_of(open_frame, keys, case.get("place") or of["place"], mangled(case, by_name))
        assert reason == case["reason"], f"{case['name']}: {reason}, not {case['reason']}"
    for case in vectors["mailboxes_refused"] + vectors["items_refused"]:
        assert case["reason"], f"{case} is not refused"
    for case in vectors["partials_refused"]:
        reason = reason_of(context, at(case["item"], [case["origin"], case["count"]]))
        assert reason == case["reason"], f"{case}: {reason}"


def checked():
    vectors = make()
    check_one_another(vectors)
    return vectors


if __name__ == "__main__":
    command(checked, __doc__)
