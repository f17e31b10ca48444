"""A session key in its two envelopes, JOSE and COSE: proto/session/spec.md, section 5."""

from dataclasses import dataclass

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from . import suites
from .notation import (
    SUITE_NAMES, SUITES, Refused, Repeated, b64, is_b64, is_id, is_name, is_text, is_texts, is_u32, lp, members,
    parse_json, refuse_unless, sha256, unb64,
)
from .signing import octets_of, read_header

TYPE = "sidekey-key+jwe"
CONTENT = {
    "kty": is_text, "k": is_text, "sk_service": is_id, "sk_server": is_name, "sk_user": is_name, "sk_pairing": is_id,
    "sk_session": is_id, "sk_generation": is_u32, "sk_suite": is_text, "sk_nbf": is_u32, "sk_exp": is_u32,
    "sk_policy": is_b64(32), "sk_caps": is_texts, "sk_offer": is_b64(32), "sk_head": is_b64(32),
}  # fmt: skip
COSE_OCTETS = 127
DAY = 86400


@dataclass
class Expected:
    """What a reader knows beforehand; None where it does not. `seen` is the newest generation that it saw."""

    service: str
    server: str
    pairing: str
    user: str | None = None
    session: str | None = None
    generation: int | None = None
    seen: int = 0


def check_times(not_before, not_after, now):
    refuse_unless(not_before < not_after, "expires_before_valid")
    refuse_unless(not_after <= not_before + DAY, "lifetime_too_long")
    refuse_unless(not_before <= now + 60, "not_yet_valid")
    refuse_unless(now < not_after + 60, "expired")


def open_jwe(text, kek, kid, cty, largest):
    """The content of a JWE for us."""
    refuse_unless(len(text.encode()) <= largest, "too_long")
    parts = text.split(".")
    refuse_unless(len(parts) == 5, "not_five_parts")
    header = read_header(parts[0], ("alg", "enc", "kid", "typ", "cty"))
    for name, value, reason in (
        ("alg", "A256KW", "algorithm_foreign"),
        ("enc", "A256GCM", "encryption_foreign"),
        ("typ", TYPE, "type_foreign"),
        ("cty", cty, "content_type_foreign"),
        ("kid", b64(kid), "kek_foreign"),
    ):
        refuse_unless(header[name] == value, reason)
    pieces = []
    for part, length, name in zip(parts[1:], (40, 12, None, 16), ("wrap", "nonce", "ciphertext", "tag")):
        pieces.append(octets_of(part, length))
        refuse_unless(pieces[-1] is not None, f"{name}_malformed")
    wrap, nonce, ciphertext, tag = pieces
    try:
        key = aes_key_unwrap(kek, wrap)
    except InvalidUnwrap:
        raise Refused("wrap_wrong") from None
    try:
        return AESGCM(key).decrypt(nonce, ciphertext + tag, parts[0].encode())
    except InvalidTag:
        raise Refused("content_wrong") from None


def read_payload(octets):
    try:
        return parse_json(octets)
    except Repeated:
        raise Refused("payload_members", "one stands twice") from None
    except ValueError:
        raise Refused("payload_malformed") from None


def check_content(content, expected, now):
    """One JWK of an envelope, against what is expected."""
    refuse_unless(members(content, CONTENT), "payload_members")
    refuse_unless(content["kty"] == "oct", "key_type_foreign")
    refuse_unless(octets_of(content["k"], 32) is not None, "session_key_malformed")
    refuse_unless(not suites.is_legacy(content["sk_suite"]), "suite_legacy")
    refuse_unless(content["sk_suite"] in SUITES, "suite_unknown")
    suites.check_canonical(content["sk_caps"])
    for name in ("service", "server", "user", "pairing", "session", "generation"):
        wanted = getattr(expected, name)
        refuse_unless(wanted is None or content[f"sk_{name}"] == wanted, f"{name}_foreign")
    if expected.generation is None:
        refuse_unless(content["sk_generation"] >= expected.seen, "generation_older")
    check_times(content["sk_nbf"], content["sk_exp"], now)
    return content


def open_key(text, kek, kid, expected, now):
    payload = read_payload(open_jwe(text, kek, kid, "jwk+json", 65536))
    return check_content(payload, expected, now)


def open_set(text, kek, kid, expected, now):
    """The keys of a batch, one for each of `expected`."""
    payload = read_payload(open_jwe(text, kek, kid, "jwk-set+json", 4 << 20))
    refuse_unless(members(payload, {"keys": lambda keys: isinstance(keys, list)}), "payload_members")
    refuse_unless(len(payload["keys"]) == len(expected), "set_foreign")
    return [check_content(content, one, now) for content, one in zip(payload["keys"], expected)]


def bound(content):
    return suites.Bound(
        content["sk_suite"], unb64(content["sk_policy"]), content["sk_caps"], unb64(content["sk_offer"])
    )


@dataclass
class Opened:
    """What a COSE envelope holds."""

    suite: int
    session: str
    generation: int
    revocations: int
    not_before: int
    not_after: int
    key: bytes
    ctx: bytes


def open_cose(octets, kek, kid, scope, now):
    """A COSE_Encrypt0 in the one form that it has. `scope` is (service, server, user, pairing)."""
    refuse_unless(len(octets) == COSE_OCTETS, "size_foreign")
    alg, form = octets[5], bytearray(octets[:33])
    form[5], form[8:16], form[19:31] = 3, bytes(8), bytes(12)
    refuse_unless(form.hex() == "d0834da2010304480000000000000000a1054c000000000000000000000000585e", "form_foreign")
    refuse_unless(alg == 3, "algorithm_foreign")
    refuse_unless(octets[8:16] == kid, "kek_foreign")
    service, server, user, pairing = scope
    external = lp("envelope", bytes.fromhex(service), server, user, bytes.fromhex(pairing))
    aad = cbor2.dumps(["Encrypt0", octets[3:16], external], canonical=True)
    try:
        content = AESGCM(kek).decrypt(octets[19:31], octets[33:], aad)
    except InvalidTag:
        raise Refused("content_wrong") from None
    refuse_unless(content[0] == 1, "version_unknown")
    refuse_unless(content[1] in SUITE_NAMES, "suite_unknown")
    number = lambda start, end: int.from_bytes(content[start:end], "big")
    check_times(number(30, 34), number(34, 38), now)
    return Opened(
        content[1], content[2:18].hex(), number(18, 22), number(22, 30), number(30, 34), number(34, 38),
        content[38:70], content[70:],
    )  # fmt: skip


def context_hash(policy, capabilities, offer):
    return sha256(lp("ctx", policy, suites.capabilities_hash(capabilities), offer))[:8]


def match_context(suite, ctx, known):
    """The offer's hash that `ctx` was made with; refuses what other lists made, and a downgrade."""
    refuse_unless(known.capabilities is not None, "context_foreign")
    for offer in (suites.SEVERAL, suites.offer_hash(known.offer)):
        if context_hash(known.policy, known.capabilities, offer) == ctx:
            bound_to = suites.Bound(suite, known.policy, known.capabilities, offer)
            suites.agree(bound_to, suites.Known(known.policy, known.suites, known.offer))
            return offer
    raise Refused("context_foreign")
