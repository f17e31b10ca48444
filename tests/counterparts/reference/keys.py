#!/usr/bin/env python3
"""The service's signing keys, written from proto/pairing/spec.md section 10 alone: how a party follows statements, and what it refuses.

    keys.py --write FILE    writes the vectors
    keys.py --check FILE    says whether FILE holds exactly what this program makes
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from session import Refused, b64, compact, jws, key_id, members, pkcs8, read_jws, seeded, sha256, signing_key, spki, typed, unb64
from vectors import command

U32 = 2**32 - 1
SERVICE = seeded("service", 16).hex()
NOON = 1_414_231_200
WEEK = 7 * 24 * 3600
KEYS = [signing_key(f"service key {n}") for n in range(12)]
MEMBERS = ["service", "number", "key", "previous", "at", "until"]


def says(nth, **changed):
    """What the key before the nth says of the nth."""
    at = NOON + nth * WEEK
    plain = {"service": SERVICE, "number": nth, "key": b64(spki(KEYS[nth])), "previous": b64(sha256(spki(KEYS[nth - 1]))), "at": at, "until": at + WEEK}
    return {**plain, **changed}


def header(number, **changed):
    return {"alg": "ES256", "kid": key_id(KEYS[number - 1]), "typ": "sidekey-keys+jws", **changed}


def statement(number, payload=None, head=None, key=None, signature=None):
    payload = compact(says(number)) if payload is None else payload
    return jws(key or KEYS[number - 1], compact(head or header(number)), payload, signature)


def chain(last, first=1):
    return [statement(number) for number in range(first, last + 1)]


def shown(keys):
    return [{"kid": key_id(key), "spki": b64(spki(key)), "number": number, "state": state, "since": NOON} for number, (key, state) in keys]


def answer(last, statements=None, keys=None, service=SERVICE):
    states = [(last, (KEYS[last], "active"))] + [(n, (KEYS[n], "retired")) for n in range(last - 1, -1, -1)]
    return {"service": service, "keys": shown(states) if keys is None else keys, "statements": chain(last) if statements is None else statements}


def check_signature(key, message, signature):
    try:
        load_der_public_key(key).verify(encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refused("signature_wrong") from None


def read(text):
    kid, signed, payload, signature = read_jws(text, "sidekey-keys+jws", 2048)
    wrong = "payload_malformed"
    said = members(unb64(payload, None, wrong), wrong, wrong, MEMBERS)
    for name, kind in {"service": "id", "number": "u32", "key": "text", "previous": "text", "at": "u32", "until": "u32"}.items():
        typed(said[name], kind, wrong)
    key, previous = unb64(said["key"], 91, wrong), unb64(said["previous"], 32, wrong)
    try:
        load_der_public_key(key)
    except ValueError:
        raise Refused(wrong) from None
    if said["number"] == 0 or said["until"] < said["at"]:
        raise Refused(wrong)
    if said["service"] != SERVICE:
        raise Refused("service_foreign")
    if kid != b64(previous[:16]):
        raise Refused("key_foreign")
    return {**said, "key": key, "previous": previous, "signed": signed, "signature": signature}


def follow(held, service, told):
    """The key that a party knows, the number of it that it knows or None, and the keys before it."""
    known, number, before = held
    if told["service"] != service:
        raise Refused("service_foreign")
    if len(told["statements"]) > 64:
        raise Refused("too_many")
    read_all = [read(text) for text in told["statements"]]
    for one, other in zip(read_all, read_all[1:]):
        if other["number"] != one["number"] + 1 or other["previous"] != sha256(one["key"]):
            raise Refused("gap")
    last = read_all[-1]["number"] if read_all else 0
    active = [key for key in told["keys"] if key["state"] == "active"]
    if len(active) != 1:
        raise Refused("unreached")
    active = unb64(active[0]["spki"], None, "unreached")
    if read_all and read_all[-1]["key"] != active:
        raise Refused("unreached")
    if active == known:
        return known, last, before
    start = next((i for i, one in enumerate(read_all) if one["previous"] == sha256(known)), None)
    if start is None:
        raise Refused("older" if number is not None and last < number else "unreached")
    if number is not None and read_all[start]["number"] != number + 1:
        raise Refused("gap")
    for one in read_all[start:]:
        check_signature(known, one["signed"], one["signature"])
        before = [(known, one["until"]), *before]
        known = one["key"]
    return known, read_all[-1]["number"], before[:8]


def case(name, held, told, number=None):
    key = spki(KEYS[held])
    row = {"name": name, "held": {"key": key.hex(), "number": number}, "answer": told}
    try:
        known, last, before = follow((key, number, []), SERVICE, told)
    except Refused as refused:
        return {**row, "refused": str(refused)}
    return {**row, "known": {"key": known.hex(), "number": last, "previous": [{"key": key.hex(), "until": until} for key, until in before]}}


def accepted():
    return [
        case("the first key", 0, answer(0)),
        case("its number is learned", 2, answer(2)),
        case("one step", 0, answer(1)),
        case("one step, of a known number", 0, answer(1), 0),
        case("two steps", 0, answer(2)),
        case("from the middle", 1, answer(3), 1),
        case("the older statements are no longer shown", 3, answer(5, chain(5, 3)), 3),
        case("eleven steps leave the latest eight keys", 0, answer(11)),
        case("an overlap of nothing", 0, answer(1, [statement(1, compact(says(1, until=says(1)["at"])))])),
    ]


def attacks():
    thief = signing_key("somebody else")
    theirs = spki(thief)
    forged = compact(says(1, key=b64(theirs)))
    theirs_active = shown([(1, (thief, "active"))])
    step = statement(2)
    part = step.split(".")
    return [
        case("a forged statement", 0, answer(1, [statement(1, forged, key=thief)], theirs_active)),
        case("a forged statement, by a key that names itself", 0, answer(1, [statement(1, forged, header(1, kid=key_id(thief)), thief)], theirs_active)),
        case("a statement about another key under a true signature", 0, answer(1, [".".join([statement(1).split(".")[0], b64(forged), statement(1).split(".")[2]])], theirs_active)),
        case("a replayed older answer", 2, answer(1), 2),
        case("a replayed first answer", 2, answer(0), 2),
        case("a replayed older answer, the number not known", 2, answer(1)),
        case("no statements", 0, answer(1, [])),
        case("a gap", 0, answer(3, [statement(1), statement(3)])),
        case("a gap at the known key", 0, answer(2, [statement(2)])),
        case("in disorder", 0, answer(2, [statement(2), statement(1)])),
        case("one twice", 0, answer(2, [statement(1), statement(1), statement(2)])),
        case("another number than the known one's next", 1, answer(2), 5),
        case("the active key is not the last statement's", 0, answer(2, chain(1))),
        case("no active key", 0, answer(1, keys=shown([(1, (KEYS[1], "previous"))]))),
        case("two active keys", 0, answer(1, keys=shown([(1, (KEYS[1], "active")), (0, (KEYS[0], "active"))]))),
        case("another service's answer", 0, answer(1, service=seeded("another", 16).hex())),
        case("another service's statement", 0, answer(1, [statement(1, compact(says(1, service=seeded("another", 16).hex())))])),
        case("the second step altered", 0, answer(2, [statement(1), ".".join([part[0], part[1], b64(bytes(64))])])),
        case("a signature that is none", 0, answer(2, [statement(1), ".".join([part[0], part[1], "AA"])])),
        case("too many", 0, answer(1, [statement(1)] * 65)),
    ]


def malformed():
    def one(name, text):
        return case(name, 0, answer(1, [text]))

    def saying(name, **changed):
        return one(name, statement(1, compact(says(1, **changed))))

    def headed(name, head):
        return one(name, statement(1, head=head))

    without = {name: value for name, value in says(1).items() if name != "until"}
    return [
        one("no JWS", "a"),
        one("four parts", statement(1) + ".a"),
        one("too long", statement(1) + "A" * 2048),
        headed("another algorithm", header(1, alg="none")),
        headed("another type", header(1, typ="sidekey-policy+jws")),
        headed("one member more", header(1, jwk={})),
        one("a header that is no JSON", jws(KEYS[0], b"x", compact(says(1)))),
        one("a payload that is no JSON", statement(1, b"x")),
        one("a member less", statement(1, compact(without))),
        saying("a member more", more=1),
        saying("the first key's number", number=0),
        saying("a number too large", number=U32 + 1),
        saying("a key that is none", key=b64(bytes(91))),
        saying("a name that is none", previous=b64(bytes(31))),
        saying("it ends before it begins", until=says(1)["at"] - 1),
    ]


def vectors():
    first = says(1)
    return {
        "about": "Made by tests/counterparts/reference/keys.py. Hex, but for what stands so on the wire.",
        "service": SERVICE,
        "keys": [{"pkcs8": pkcs8(key).hex(), "spki": spki(key).hex(), "kid": key_id(key)} for key in KEYS[:2]],
        "statement": {"number": 1, "at": first["at"], "until": first["until"], "jws": statement(1)},
        "follow": accepted() + attacks() + malformed(),
    }


if __name__ == "__main__":
    command(vectors, __doc__)
