#!/usr/bin/env python3
"""Frames of a client, written from proto/object/spec.md alone; makes and checks proto/object/client.json.

    client.py --check FILE    every vector is what this program makes, opens or refuses as it says
    client.py --write FILE    writes them
"""
import datetime
import struct

from object import (
    CONTEXT_FIELDS, KINDS, LEAST, SUITES, WHOLE, Refused, agreed, b64, frame_cipher, header, lp, mailbox_name, named, nonce,
    object_keys, open_records, padded_length, refuse_if, sha256, unb64,
)
from vectors import command

TYPES = {"APPEND": "body", "SEARCH": "header-like"}


def descriptor(place):
    """The label alone, or with the flags, or with key and field."""
    if place["operation"] == "APPEND":
        fields = sorted({flag.upper().encode() for flag in place["flags"]})
    else:
        fields = [place["key"].upper().encode(), (place["field"] or "").upper().encode()]
    return lp(place["operation"], *fields)


def seconds(date):
    """A date-time of IMAP in seconds since 1970, UTC."""
    if date is None:
        return WHOLE
    return int(datetime.datetime.strptime(date.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp())


def context(place):
    append = place["operation"] == "APPEND"
    octets = struct.pack(
        ">BBHI32s8sQ32sQ",
        2 if append else 3,
        0,
        0,
        0 if append else place["uid_validity"],
        sha256(mailbox_name(place["mailbox"], place["separator"]).encode()),
        sha256(bytes.fromhex(place["pairing"]))[:8],
        place["number"],
        sha256(descriptor(place)),
        seconds(place["date"]) if append else WHOLE,
    )
    assert len(octets) == 96
    return octets


def seal(keys, place, kind, value, salt, way="c2s"):
    """In records of 4 KiB."""
    type_, octets = TYPES[place["operation"]], context(place)
    head = header(type_, keys, 12, salt)
    cipher = frame_cipher(object_keys(keys)[way], keys["suite"], salt, head, octets)
    text = (struct.pack(">QB", 1 + len(value), KINDS[kind]) + value).ljust(padded_length(type_, 1 + len(value), 0), b"\0")
    pieces = [text[at : at + 4096] for at in range(0, len(text), 4096)]
    records = [cipher.encrypt(nonce(i, i + 1 == len(pieces)), piece, b"") for i, piece in enumerate(pieces)]
    return head + octets + b"".join(records)


def open_frame(keys, place, frame):
    """What a server does; the checks of the header are those of object.py."""
    type_, expected = TYPES[place["operation"]], context(place)
    head, found = frame[:42], frame[42:138]
    refuse_if(head[3] != {"header-like": 1, "body": 2}[type_], "other_type")
    for reason, start, end in CONTEXT_FIELDS:
        refuse_if(expected[start:end] != found[start:end], reason)
    cipher = frame_cipher(object_keys(keys)["c2s"], keys["suite"], head[26:42], head, found)
    assert LEAST[type_] and SUITES[keys["suite"]]
    return open_records(cipher, frame[138:], type_, 0, 4096)


def append(**other):
    place = {
        "operation": "APPEND", "mailbox": "Entwürfe", "separator": "/", "pairing": named("pairing", 16).hex(), "number": 1,
        "flags": ["\\Seen", "$Forwarded"], "date": "29-Nov-2026 20:07:44 +0100",
    }
    place.update(other)
    return {**place, "date_s": None if place["date"] is None else seconds(place["date"])}


def search(**other):
    place = {
        "operation": "SEARCH", "mailbox": "inbox", "separator": "/", "uid_validity": 1780000000, "number": 2,
        "pairing": named("pairing", 16).hex(), "key": "SUBJECT", "field": None,
    }
    return {**place, **other}


PLACES = [
    ("append", append()),
    ("append, bare", append(flags=[], date=None)),
    ("append, flags in another order and case, one twice", append(flags=["$FORWARDED", "\\seen", "\\SEEN"])),
    ("append, 1970", append(date=" 1-Jan-1970 00:00:00 +0000")),
    ("append, the highest number", append(number=2**64 - 1)),
    ("search", search()),
    ("search, key in another case", search(key="subject")),
    ("search, a field", search(key="HEADER", field="List-Id")),
]
REFUSED = [
    ("append into another mailbox", "append", append(mailbox="Sent"), "other_mailbox"),
    ("append of another sender", "append", append(pairing=named("pairing 2", 16).hex()), "other_subject"),
    ("append with another number", "append", append(number=2), "other_position"),
    ("append with a flag taken away", "append", append(flags=["\\Seen"]), "other_item"),
    ("append with a flag added", "append", append(flags=["\\Seen", "$Forwarded", "\\Deleted"]), "other_item"),
    ("append with another date", "append", append(date="29-Nov-2026 20:07:45 +0100"), "other_extent"),
    ("append without its date", "append", append(date=None), "other_extent"),
    ("search in another mailbox", "search", search(mailbox="Sent"), "other_mailbox"),
    ("search in a mailbox numbered anew", "search", search(uid_validity=1780000001), "other_uid_validity"),
    ("search with another key", "search", search(key="TEXT"), "other_item"),
    ("search in another field", "search, a field", search(key="HEADER", field="List-Post"), "other_item"),
    ("search's string as a message", "search", append(), "other_type"),
    ("message as a search's string", "append", search(), "other_type"),
]


def make():
    keys = dict([agreed("aes", "A256GCM", 0), agreed("chacha", "C20P", 0)])
    frames = []
    for at, (name, place) in enumerate(PLACES):
        key = ("aes", "chacha")[at % 2]
        kind, value = ("literal8", b"Subject: x\r\n\r\n\0") if at == 4 else ("literal", b"Gr\xc3\xbc\xc3\x9fe")
        salt = named("salt of " + name, 16)
        frame = seal(keys[key], place, kind, value, salt)
        frames.append({
            "name": name, "keys": key, "place": place, "kind": kind, "value": b64(value), "salt": b64(salt),
            "context": b64(context(place)), "frame": b64(frame),
        })
    place = dict(PLACES)["append"]
    reflected = seal(keys["aes"], place, "literal", b"x", named("salt", 16), way="s2c")
    return {
        "about": "Frames of a client (proto/object/spec.md), made by tests/counterparts/reference/client.py. Records of 4 KiB.",
        "keys": keys,
        "frames": frames,
        "refused": [{"name": name, "of": of, "place": place, "reason": reason} for name, of, place, reason in REFUSED],
        "reflected": {"place": place, "keys": "aes", "frame": b64(reflected), "reason": "first_record_unverified"},
    }


def reason_of(*args):
    try:
        open_frame(*args)
    except Refused as refused:
        return str(refused)
    return None


def checked():
    vectors = make()
    by_name = {case["name"]: case for case in vectors["frames"]}
    for case in vectors["frames"]:
        kind, value = open_frame(vectors["keys"][case["keys"]], case["place"], unb64(case["frame"]))
        assert (kind, value) == (case["kind"], unb64(case["value"])), case["name"]
    for case in vectors["refused"]:
        of = by_name[case["of"]]
        reason = reason_of(vectors["keys"][of["keys"]], case["place"], unb64(of["frame"]))
        assert reason == case["reason"], f"{case['name']}: {reason}"
    reflected = vectors["reflected"]
    reason = reason_of(vectors["keys"]["aes"], reflected["place"], unb64(reflected["frame"]))
    assert reason == reflected["reason"], reason
    return vectors


if __name__ == "__main__":
    command(checked, __doc__)
