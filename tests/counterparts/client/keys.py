"""Following the service's signing key: proto/pairing/spec.md, section 10."""

from dataclasses import dataclass, field

from . import signing
from .notation import is_b64, is_id, is_text, is_u32, members, refuse_unless, sha256, unb64
from .signing import payload_object, read_jws

TYPE = "sidekey-keys+jws"
STATEMENT = {
    "service": is_id, "number": is_u32, "key": is_b64(91), "previous": is_b64(32), "at": is_u32, "until": is_u32,
}  # fmt: skip
ANSWER = {
    "service": is_id,
    "keys": lambda keys: isinstance(keys, list) and all(isinstance(key, dict) for key in keys),
    "statements": lambda items: isinstance(items, list) and all(map(is_text, items)),
}


@dataclass
class Held:
    """The key that a party knows, its number once that was told, and the latest eight before it, newest first."""

    key: bytes
    number: int | None = None
    previous: list = field(default_factory=list)


@dataclass
class Statement:
    jws: signing.Jws
    number: int
    key: bytes
    previous: bytes
    until: int


def read_statement(text, service):
    jws = read_jws(text, TYPE, 2048)
    jws.need_signature()
    content = payload_object(jws, "payload_malformed")
    sound = members(content, STATEMENT) and content["number"] > 0 and content["until"] >= content["at"]
    refuse_unless(sound, "payload_malformed")
    try:
        signing.load_spki(unb64(content["key"]))
    except ValueError:
        refuse_unless(False, "payload_malformed", "no key")
    refuse_unless(content["service"] == service, "service_foreign")
    previous = unb64(content["previous"])
    refuse_unless(jws.header["kid"] == signing.b64(previous[:16]), "key_foreign")
    return Statement(jws, content["number"], unb64(content["key"]), previous, content["until"])


def follow(held, service, answer):
    """The key that the answer of GET /v1/keys leads to from the one that is held; a refusal changes nothing."""
    refuse_unless(members(answer, ANSWER), "answer_malformed")
    refuse_unless(answer["service"] == service, "service_foreign")
    refuse_unless(len(answer["statements"]) <= 64, "too_many")
    statements = [read_statement(text, service) for text in answer["statements"]]
    for one, following in zip(statements, statements[1:]):
        refuse_unless(following.number == one.number + 1 and following.previous == sha256(one.key), "gap")
    active = [key.get("spki") for key in answer["keys"] if key.get("state") == "active"]
    refuse_unless(len(active) == 1, "unreached", "not one active key")
    active = unb64(active[0])
    refuse_unless(not statements or statements[-1].key == active, "unreached")
    last = statements[-1].number if statements else 0
    if active == held.key:
        return Held(held.key, last, held.previous)
    start = next((i for i, one in enumerate(statements) if one.previous == sha256(held.key)), None)
    if start is None:
        refuse_unless(held.number is None or last >= held.number, "older")
    refuse_unless(start is not None, "unreached")
    refuse_unless(held.number is None or statements[start].number == held.number + 1, "gap")
    return walk(held, statements[start:])


def walk(held, statements):
    key, previous = held.key, list(held.previous)
    for one in statements:
        one.jws.verify(key)
        previous.insert(0, {"key": key, "until": one.until})
        key = one.key
    return Held(key, statements[-1].number, previous[:8])
