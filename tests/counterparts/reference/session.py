#!/usr/bin/env python3
"""Sessions, tokens, policies and envelopes, written from proto/session/spec.md alone: makes and checks its vectors.

    session.py --write FILE    writes the vectors
    session.py --check FILE    says whether FILE holds exactly what this program makes
"""

import base64
import hashlib
import hmac
import json
import struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from vectors import command

SUITES = ["A256GCM", "C20P"]
LEGACY = ["3DES", "RC4", "AES"]
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
U32 = 2**32 - 1


class Refused(Exception):
    """Its argument is the reason."""


# --- Notation -------------------------------------------------------------------------------------------------------


def lp(label, *fields):
    return b"".join(struct.pack(">I", len(f)) + f for f in [b"sidekey/1 " + label.encode(), *fields])


def derive(key, label, *fields):
    return HKDFExpand(hashes.SHA256(), 32, lp(label, *fields)).derive(key)


def sha256(octets):
    return hashlib.sha256(octets).digest()


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text, size, reason):
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Refused(reason) from None
    if b64(octets) != text or (size is not None and len(octets) != size):
        raise Refused(reason)
    return octets


def seeded(name, size=32):
    """Octets that everybody can make again: SHA-256 of a name."""
    return sha256(b"sidekey vectors " + name.encode())[:size]


def members(octets, malformed, wrong, required, optional=()):
    """A JSON object with exactly these members, each once."""

    def once(pairs):
        if len({name for name, _ in pairs}) != len(pairs):
            raise Refused(wrong)
        return dict(pairs)

    try:
        value = json.loads(octets.decode(), object_pairs_hook=once)
    except ValueError:
        raise Refused(malformed) from None
    if not isinstance(value, dict) or not set(required) <= set(value) <= set(required) | set(optional):
        raise Refused(wrong)
    return value


def typed(value, kind, reason):
    good = {
        "text": lambda v: isinstance(v, str),
        "u32": lambda v: isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= U32,
        "texts": lambda v: isinstance(v, list) and all(isinstance(item, str) for item in v),
        "id": lambda v: isinstance(v, str) and len(v) == 32 and set(v) <= set("0123456789abcdef"),
        "name": lambda v: isinstance(v, str) and 0 < len(v.encode()) <= 255 and v == v.strip()
        and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in v),
    }
    if not good[kind](value):
        raise Refused(reason)
    return value


def visible(text):
    return 1 <= len(text) <= 64 and all(0x21 <= ord(c) <= 0x7E for c in text)


# --- Suites, capabilities, times ------------------------------------------------------------------------------------


def suite_list(names):
    if not 1 <= len(names) <= 64 or not all(map(visible, names)):
        raise Refused("suites_malformed")
    if any(name.upper() in LEGACY for name in names):
        raise Refused("suite_legacy")
    return names


def capability_list(texts):
    if len(texts) > 64 or not all(map(visible, texts)):
        raise Refused("capabilities_malformed")
    if any(text.upper() in LEGACY for text in texts):
        raise Refused("suite_legacy")
    return sorted({text.upper() for text in texts})


def hash_of(label, texts):
    return sha256(lp(label, *(text.encode() for text in texts)))


def choose_of_one(offer, policy, capabilities):
    for name in offer:
        if name in SUITES and name in policy and name in capabilities:
            return name, hash_of("offer", offer)
    raise Refused("suite_none")


def choose_of_several(offers, policy, capabilities):
    for name in policy:
        if name in SUITES and name in capabilities and all(name in offer for offer in offers):
            return name, bytes(32)
    raise Refused("suite_none")


def ttl(asked):
    seconds = 3600 if asked is None else asked
    if not 60 <= seconds <= 86400:
        raise Refused("ttl_out_of_range")
    return seconds


def fetch(rotations, asked, now):
    """`rotations` = [(cause, at)], the i-th of which made generation i + 1."""
    current = len(rotations)
    if asked is None or asked == current:
        return current
    if asked > current:
        raise Refused("generation_unknown")
    cause, at = rotations[-1]
    if asked == current - 1 and cause == "revocation":
        raise Refused("generation_revoked")
    if asked == current - 1 and cause == "policy":
        raise Refused("generation_passed")
    if asked == current - 1 and now < at + 120:
        return asked
    raise Refused("generation_passed")


# --- JWS: tokens and policies ---------------------------------------------------------------------------------------


def signing_key(name):
    return ec.derive_private_key(int.from_bytes(seeded(name), "big") % (P256_ORDER - 1) + 1, ec.SECP256R1())


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pkcs8(key):
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_id(key):
    return b64(sha256(spki(key))[:16])


def es256(key, message):
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def jws(key, header, payload, signature=None):
    """Header and payload as octets, so that a test can say anything."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{signature if signature is not None else b64(es256(key, signed.encode()))}"


def read_jws(text, typ, size_max):
    if len(text) > size_max:
        raise Refused("too_long")
    parts = text.split(".")
    if len(parts) != 3:
        raise Refused("not_three_parts")
    header = members(
        unb64(parts[0], None, "header_malformed"), "header_malformed", "header_members", ["alg", "kid", "typ"]
    )
    for value in header.values():
        typed(value, "text", "header_members")
    if header["alg"] != "ES256":
        raise Refused("algorithm_foreign")
    if header["typ"] != typ:
        raise Refused("type_foreign")
    signature = unb64(parts[2], 64, "signature_malformed")
    return header["kid"], f"{parts[0]}.{parts[1]}".encode(), parts[1], signature


def check_signature(key, message, signature):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refused("signature_wrong") from None


def verify_token(key, text, service, now):
    kid, signed, payload, signature = read_jws(text, "sidekey+jwt", 2048)
    party = typed(kid, "id", "party_malformed")
    check_signature(key, signed, signature)
    bad = "claims_malformed"
    claims = members(unb64(payload, None, bad), bad, bad, ["aud", "iat", "exp"], ["kek"])
    typed(claims["aud"], "id", bad)
    iat, exp = typed(claims["iat"], "u32", bad), typed(claims["exp"], "u32", bad)
    kek = claims.get("kek")
    if kek is not None:
        unb64(typed(kek, "text", bad), 8, bad)
    if claims["aud"] != service:
        raise Refused("audience_foreign")
    if exp < iat:
        raise Refused("expires_before_issued")
    if exp - iat > 600:
        raise Refused("lifetime_too_long")
    if iat > now + 60:
        raise Refused("issued_in_future")
    if now >= exp + 60:
        raise Refused("expired")
    return {"party": party, "kek": kek, "until": exp + 60}


ITEMS = ["BINARY", "BODY", "BODYSTRUCTURE", "ENVELOPE", "PREVIEW", "RFC822", "SNIPPET", "THREADID"]


def policy(scope, version=1, suites=tuple(SUITES), mode="require", items=tuple(ITEMS)):
    return {**scope, "version": version, "suites": list(suites), "mode": mode, "items": list(items)}


def verify_policy(key, text, scope, seen):
    kid, signed, payload, signature = read_jws(text, "sidekey-policy+jws", 16384)
    if kid != key_id(key):
        raise Refused("key_foreign")
    check_signature(key, signed, signature)
    bad = "payload_malformed"
    octets = unb64(payload, None, bad)
    said = members(octets, bad, bad, ["service", "server", "user", "version", "suites", "mode", "items"])
    kinds = {"service": "id", "server": "name", "user": "name", "version": "u32", "suites": "texts", "items": "texts"}
    for name, kind in kinds.items():
        typed(said[name], kind, bad)
    if said["mode"] != "require":
        raise Refused(bad)
    suites, items = suite_list(said["suites"]), said["items"]
    if not 1 <= len(items) <= 64 or not all(visible(i) and i == i.upper() for i in items) or items != sorted(set(items)):
        raise Refused("items_malformed")
    for name in ["service", "server", "user"]:
        if said[name] != scope[name]:
            raise Refused(f"{name}_foreign")
    digest = sha256(octets)
    if seen and said["version"] < seen["version"]:
        raise Refused("older")
    if seen and said["version"] == seen["version"] and digest.hex() != seen["hash"]:
        raise Refused("content_changed")
    if not set(suites) & set(SUITES):
        raise Refused("suite_unsupported")
    return {"policy": said, "hash": digest.hex()}


# --- Envelopes ------------------------------------------------------------------------------------------------------

HEADER = ["alg", "enc", "kid", "typ", "cty"]
PRIVATE = ["service", "server", "user", "pairing", "session", "generation", "suite", "nbf", "exp", "policy", "caps",
           "offer", "head"]


def jwe(kek, header, payload, cek, nonce):
    protected = b64(header)
    sealed = AESGCM(cek).encrypt(nonce, payload, protected.encode())
    parts = [aes_key_wrap(kek["kw"], cek), nonce, sealed[:-16], sealed[-16:]]
    return ".".join([protected, *map(b64, parts)])


def decrypted(kek, text, cty, size_max):
    if len(text) > size_max:
        raise Refused("too_long")
    parts = text.split(".")
    if len(parts) != 5:
        raise Refused("not_five_parts")
    header = members(unb64(parts[0], None, "header_malformed"), "header_malformed", "header_members", HEADER)
    for value in header.values():
        typed(value, "text", "header_members")
    exact = {"alg": ("A256KW", "algorithm_foreign"), "enc": ("A256GCM", "encryption_foreign"),
             "typ": ("sidekey-key+jwe", "type_foreign"), "cty": (cty, "content_type_foreign"),
             "kid": (b64(kek["id"]), "kek_foreign")}
    for name, (value, reason) in exact.items():
        if header[name] != value:
            raise Refused(reason)
    wrapped = unb64(parts[1], 40, "wrap_malformed")
    nonce = unb64(parts[2], 12, "nonce_malformed")
    sealed = unb64(parts[3], None, "ciphertext_malformed") + unb64(parts[4], 16, "tag_malformed")
    try:
        cek = aes_key_unwrap(kek["kw"], wrapped)
    except InvalidUnwrap:
        raise Refused("wrap_wrong") from None
    try:
        return AESGCM(cek).decrypt(nonce, sealed, parts[0].encode())
    except InvalidTag:
        raise Refused("content_wrong") from None


def open_envelope(kek, text, expected, now):
    return read_payload(decrypted(kek, text, "jwk+json", 65536), expected, now)


def open_set(kek, text, count):
    wrong = "payload_members"
    payload = decrypted(kek, text, "jwk-set+json", 4 << 20)
    keys = members(payload, "payload_malformed", wrong, ["keys"])["keys"]
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise Refused(wrong)
    for key in keys:
        members(compact(key), wrong, wrong, ["kty", "k", *(f"sk_{name}" for name in PRIVATE)])
    if len(keys) != count:
        raise Refused("set_foreign")
    for key in keys:
        read_payload(compact(key), {"generation_seen": 0}, key["sk_nbf"])
    return keys


def read_payload(payload, expected, now):
    wrong = "payload_members"
    said = members(payload, "payload_malformed", wrong, ["kty", "k", *(f"sk_{name}" for name in PRIVATE)])
    kinds = {"kty": "text", "k": "text", "sk_service": "id", "sk_server": "name", "sk_user": "name", "sk_pairing": "id",
             "sk_session": "id", "sk_generation": "u32", "sk_suite": "text", "sk_nbf": "u32", "sk_exp": "u32",
             "sk_policy": "text", "sk_caps": "texts", "sk_offer": "text", "sk_head": "text"}
    for name, kind in kinds.items():
        typed(said[name], kind, wrong)
    for name in ["sk_policy", "sk_offer", "sk_head"]:
        unb64(said[name], 32, wrong)
    if said["kty"] != "oct":
        raise Refused("key_type_foreign")
    unb64(said["k"], 32, "session_key_malformed")
    if said["sk_suite"].upper() in LEGACY:
        raise Refused("suite_legacy")
    if said["sk_suite"] not in SUITES:
        raise Refused("suite_unknown")
    if capability_list(said["sk_caps"]) != said["sk_caps"]:
        raise Refused("capabilities_malformed")
    for name in ["service", "server", "user", "pairing", "session", "generation"]:
        if expected.get(name) is not None and said[f"sk_{name}"] != expected[name]:
            raise Refused(f"{name}_foreign")
    if expected.get("generation") is None and said["sk_generation"] < expected["generation_seen"]:
        raise Refused("generation_older")
    if said["sk_nbf"] >= said["sk_exp"]:
        raise Refused("expires_before_valid")
    if said["sk_exp"] - said["sk_nbf"] > 86400:
        raise Refused("lifetime_too_long")
    if said["sk_nbf"] > now + 60:
        raise Refused("not_yet_valid")
    if now >= said["sk_exp"] + 60:
        raise Refused("expired")
    return said


# --- Envelopes in COSE ----------------------------------------------------------------------------------------------


def cbor_head(major, value):
    """The head of an item, as short as it can be."""
    if value < 24:
        return bytes([major << 5 | value])
    extra, size = next((extra, size) for extra, size in [(24, 1), (25, 2), (26, 4), (27, 8)] if value < 256**size)
    return bytes([major << 5 | extra]) + value.to_bytes(size, "big")


def cbor(value):
    """The deterministic form of a value. A map is a list of pairs, in the order in which they shall stand."""
    match value:
        case int() if value >= 0:
            return cbor_head(0, value)
        case bytes():
            return cbor_head(2, len(value)) + value
        case str():
            return cbor_head(3, len(value.encode())) + value.encode()
        case ["tag", number, item]:
            return cbor_head(6, number) + cbor(item)
        case ["array", *items]:
            return cbor_head(4, len(items)) + b"".join(map(cbor, items))
        case ["map", *pairs]:
            return cbor_head(5, len(pairs)) + b"".join(cbor(key) + cbor(item) for key, item in pairs)
        case ["raw", octets]:
            return octets


def cose_scope(scope):
    service, pairing = bytes.fromhex(scope["service"]), bytes.fromhex(scope["pairing"])
    return lp("envelope", service, scope["server"].encode(), scope["user"].encode(), pairing)


def cose_form(protected, iv, ciphertext):
    return cbor(["tag", 16, ["array", protected, ["map", (5, iv)], ciphertext]])


def cose(kek, iv, scope, content, protected=None):
    if protected is None:
        protected = cbor(["map", (1, 3), (4, kek["id"])])
    aad = cbor(["array", "Encrypt0", protected, cose_scope(scope)])
    return cose_form(protected, iv, AESGCM(kek["gcm"]).encrypt(iv, content, aad))


def ctx(policy, capabilities, offer):
    return sha256(lp("ctx", policy, capabilities, offer))[:8]


def cose_content(session, generation, revocations, not_before, not_after, key, context, version=1, suite=1):
    return struct.pack(">BB16sIQII32s8s", version, suite, session, generation, revocations, not_before, not_after, key, context)


def open_cose(kek, octets, scope, now):
    if len(octets) != 127:
        raise Refused("size_foreign")
    algorithm, kid, iv, ciphertext = octets[5], octets[8:16], octets[19:31], octets[33:]
    protected = cbor(["map", (1, ["raw", bytes([algorithm])]), (4, kid)])
    if octets != cose_form(protected, iv, ciphertext):
        raise Refused("form_foreign")
    if algorithm != 3:
        raise Refused("algorithm_foreign")
    if kid != kek["id"]:
        raise Refused("kek_foreign")
    try:
        content = AESGCM(kek["gcm"]).decrypt(iv, ciphertext, cbor(["array", "Encrypt0", protected, cose_scope(scope)]))
    except InvalidTag:
        raise Refused("content_wrong") from None
    version, suite, session, generation, revocations, nbf, exp, key, context = struct.unpack(">BB16sIQII32s8s", content)
    if version != 1:
        raise Refused("version_unknown")
    if suite not in [1, 2]:
        raise Refused("suite_unknown")
    check_cose_times(nbf, exp, now)
    return {"suite": suite, "session": session.hex(), "generation": generation, "revocations": revocations, "not_before": nbf,
            "not_after": exp, "key": key.hex(), "ctx": context.hex()}


def check_cose_times(nbf, exp, now):
    if nbf >= exp:
        raise Refused("expires_before_valid")
    if exp - nbf > 86400:
        raise Refused("lifetime_too_long")
    if nbf > now + 60:
        raise Refused("not_yet_valid")
    if now >= exp + 60:
        raise Refused("expired")


def cose_lists(carried, known):
    """The lists behind `ctx`, among those that a client knows."""
    if known["capabilities"] is None:
        raise Refused("context_foreign")
    policy, capabilities = bytes.fromhex(known["policy"]), hash_of("capabilities", known["capabilities"])
    for offer in [bytes(32), hash_of("offer", known["offer"])]:
        if carried["ctx"] == ctx(policy, capabilities, offer).hex():
            bound = {"policy": known["policy"], "capabilities": known["capabilities"], "suite": carried["suite"], "offer": offer.hex()}
            agree(bound, known)
            return {"offer": offer.hex()}
    raise Refused("context_foreign")


def agree(bound, known):
    if bound["policy"] != known["policy"]:
        raise Refused("policy_foreign")
    if known["capabilities"] is not None and known["capabilities"] != bound["capabilities"]:
        raise Refused("capabilities_foreign")
    suite, offer = bound["suite"], known["offer"]
    if suite not in known["suites"] or suite not in bound["capabilities"]:
        raise Refused("suite_downgraded")
    if offer is None:
        return
    if bound["offer"] == bytes(32).hex():
        follows = suite in offer
    elif bound["offer"] == hash_of("offer", offer).hex():
        follows = choose_of_one(offer, known["suites"], bound["capabilities"])[0] == suite
    else:
        raise Refused("offer_foreign")
    if not follows:
        raise Refused("suite_downgraded")


# --- Vectors --------------------------------------------------------------------------------------------------------


def outcome(case, work, shape=lambda value: value):
    """Adds to a case what this program makes of it: its results, or the reason of refusal."""
    try:
        return {**case, **shape(work())}
    except Refused as refused:
        return {**case, "refused": refused.args[0]}


def hash_cases():
    long = ["C" * 64]
    capabilities = [["a256gcm", "XENCRYPTED", "A256GCM", "c20p"], [], long, ["A" * 65], [""], ["a b"], ["é"],
                    [f"X{i}" for i in range(64)], [f"X{i}" for i in range(65)], ["A256GCM", "3des"], ["AES"], ["rc4"],
                    ["AES256"]]
    offers = [["A256GCM", "C20P"], ["C20P", "A256GCM"], ["X-NEW", "C20P"], ["X-NEW"], [], ["A256GCM", "RC4"], ["aes"],
              ["3DES", "A256GCM"], ["a b"], ["A" * 65], ["X"] * 64, ["X"] * 65]
    return {
        "capabilities": [
            outcome({"list": c}, lambda c=c: capability_list(c),
                    lambda v: {"canonical": v, "hash": hash_of("capabilities", v).hex()})
            for c in capabilities
        ],
        "offers": [
            outcome({"names": o}, lambda o=o: suite_list(o), lambda v: {"hash": hash_of("offer", v).hex()})
            for o in offers
        ],
    }


def choice_cases():
    both, caps = ["A256GCM", "C20P"], ["A256GCM", "C20P", "XENCRYPTED"]
    one = [
        (both, both, caps), (["C20P", "A256GCM"], both, caps), (both, ["C20P"], caps), (both, both, ["C20P"]),
        (["X-NEW", "C20P"], both, caps), (["X-NEW"], both, caps), (["C20P"], ["A256GCM"], caps), (both, both, ["XENCRYPTED"]),
        (["X-NEW", "A256GCM"], ["X-NEW", "A256GCM"], ["A256GCM", "X-NEW"]),
    ]
    several = [
        ([], both, caps), ([both], ["C20P", "A256GCM"], caps), ([["C20P", "A256GCM"], both], both, caps),
        ([both, ["C20P"]], both, caps), ([["A256GCM"], ["C20P"]], both, caps), ([both], both, ["C20P"]),
        ([], both, []), ([["X-NEW"]], ["X-NEW"], ["X-NEW"]),
    ]
    shape = lambda v: {"suite": v[0], "offer_hash": v[1].hex()}  # noqa: E731
    return {
        "of_one": [
            outcome({"offer": o, "policy": p, "capabilities": c}, lambda o=o, p=p, c=c: choose_of_one(o, p, c), shape)
            for o, p, c in one
        ],
        "of_several": [
            outcome({"offers": o, "policy": p, "capabilities": c}, lambda o=o, p=p, c=c: choose_of_several(o, p, c), shape)
            for o, p, c in several
        ],
    }


def time_cases():
    asked, revoked, changed = ("asked", 1000), ("revocation", 1000), ("policy", 1000)
    generations = [
        ([], None, 0), ([], 0, 10**6), ([], 1, 0), ([asked], None, 1000), ([asked], 1, 1000), ([asked], 0, 1119),
        ([asked], 0, 1120), ([asked], 2, 1000), ([revoked], 0, 1000), ([revoked], 1, 1000), ([asked, ("asked", 1010)], 0, 1010),
        ([asked, ("asked", 1010)], 1, 1129), ([asked, ("revocation", 1010)], 1, 1010), ([revoked, ("asked", 1010)], 1, 1010),
        ([revoked, ("asked", 1010)], 0, 1010), ([asked], U32, 1000), ([changed], 0, 1000), ([changed], 1, 1000),
        ([asked, ("policy", 1010)], 1, 1010), ([changed, ("asked", 1010)], 1, 1010),
    ]
    return {
        "ttl": [outcome({"asked": a}, lambda a=a: ttl(a), lambda v: {"ttl": v})
                for a in [None, 60, 59, 0, 3600, 86400, 86401, U32]],
        "generations": [
            outcome({"rotations": [{"cause": c, "at": at} for c, at in r], "asked": a, "now": now},
                    lambda r=r, a=a, now=now: fetch(r, a, now), lambda v: {"generation": v})
            for r, a, now in generations
        ],
    }


def derivation_cases():
    root, session = seeded("session root"), seeded("session", 16)
    return [
        {"root": root.hex(), "session": session.hex(), "generation": g,
         "key": derive(root, "session", session, struct.pack(">I", g)).hex()}
        for g in [0, 1, 256, U32]
    ]


def token_cases():
    key, other = signing_key("party key"), signing_key("another party's key")
    party, service, now = seeded("party", 16).hex(), seeded("service", 16).hex(), 1_700_000_000
    header = {"alg": "ES256", "kid": party, "typ": "sidekey+jwt"}
    claims = {"aud": service, "iat": now, "exp": now + 600}
    kek = b64(seeded("kek id", 8))

    def made(header=header, claims=claims, key=key, signature=None):
        octets = [value if isinstance(value, bytes) else compact(value) for value in (header, claims)]
        return jws(key, *octets, signature)

    def claimed(**changed):
        return made(claims={**claims, **changed})

    def headed(**changed):
        return made(header={**header, **changed})

    plain = made()
    signed, signature = plain.rsplit(".", 1)
    raw = unb64(signature, 64, "")
    twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    confused = b64(compact({**header, "alg": "HS256"})) + "." + b64(compact(claims))
    hs256 = b64(hmac.new(spki(key), confused.encode(), hashlib.sha256).digest())
    raw_claims = lambda iat, exp: f'{{"aud":"{service}","iat":{iat},"exp":{exp}}}'.encode()  # noqa: E731
    cases = [
        ("as our own signer writes it", plain, now),
        ("with the key-encryption key in use", claimed(kek=kek), now),
        ("members in another order, with white space",
         made(header=json.dumps(dict(reversed(header.items())), indent=1).encode(),
              claims=json.dumps(dict(reversed(claims.items())), indent=1).encode()), now),
        ("the signature's twin with the other s: the same party", f"{signed}.{b64(twin)}", now),
        ("issued 60 s ahead of our clock", plain, now - 60), ("issued 61 s ahead of our clock", plain, now - 61),
        ("59 s past its end", plain, now + 659), ("60 s past its end", plain, now + 660),
        ("alg none, unsigned", made(header={**header, "alg": "none"}, signature=""), now),
        ("alg HS256 with the public key as the secret", f"{confused}.{hs256}", now),
        ("alg RS256", headed(alg="RS256"), now), ("alg ES384", headed(alg="ES384"), now),
        ("alg es256", headed(alg="es256"), now), ("alg a number", headed(alg=256), now),
        ("alg twice", made(header=compact(header).replace(b"{", b'{"alg":"none",', 1)), now),
        ("alg twice, the second in escapes", made(header=compact(header)[:-1] + b',"\\u0061lg":"none"}'), now),
        *((f"{name} in the header", headed(**{name: value}), now) for name, value in {
            "jwk": {"kty": "EC"}, "jku": "https://example.org/", "x5u": "https://example.org/", "crit": ["exp"],
            "b64": False, "cty": "JWT", "nonce": "AAAA"}.items()),
        ("no kid", made(header={"alg": "ES256", "typ": "sidekey+jwt"}), now),
        ("kid is a path", headed(kid="../../etc/passwd"), now), ("kid is SQL", headed(kid="' OR 1=1 --"), now),
        ("kid in upper case", headed(kid=party.upper()), now), ("kid empty", headed(kid=""), now),
        ("no typ", made(header={"alg": "ES256", "kid": party}), now), ("typ JWT", headed(typ="JWT"), now),
        ("typ of a policy", headed(typ="sidekey-policy+jws"), now),
        ("signed by another key", made(key=other), now),
        ("claims changed under the signature",
         f"{b64(compact(header))}.{b64(compact({**claims, 'exp': now + 599}))}.{signature}", now),
        ("signature padded", plain + "==", now), ("signature in DER", made(signature=b64(encode_dss_signature(r, s))), now),
        ("signature of 63 octets", f"{signed}.{b64(raw[:63])}", now),
        ("signature with a spare bit set", plain[:-1] + chr(ord(plain[-1]) + 1), now), ("signature of zeros", f"{signed}.{b64(bytes(64))}", now),
        ("no signature part", signed, now), ("four parts", plain + ".AAAA", now), ("empty", "", now), ("dots", "..", now),
        ("header not base64url", "!" + plain[1:], now), ("header not JSON", made(header=b"alg"), now),
        ("header an array", made(header=list(header.values())), now), ("claims an array", made(claims=list(claims.values())), now), ("text after the header", made(header=compact(header) + b"x"), now),
        ("2 KiB", made(claims=compact(claims) + b" " * 1317), now), ("beyond 2 KiB", made(claims=compact(claims) + b" " * 1318), now),
        ("for another service", claimed(aud=seeded("another service", 16).hex()), now), ("aud a list", claimed(aud=[service]), now),
        ("601 s", claimed(exp=now + 601), now), ("ten years", claimed(exp=now + 315360000), now),
        ("no time at all", claimed(exp=now), now), ("ends before it begins", claimed(exp=now - 1), now),
        *((f"exp {text}", made(claims=raw_claims(now, text)), now) for text in [
            "-1", "4294967296", "9007199254740992", "1e400", f'"{now}"', f"{now}.0", "1.7e9", "null", "true", "[]"]),
        ("iat negative", made(claims=raw_claims("-1", now)), now), ("no exp", made(claims={"aud": service, "iat": now}), now),
        ("no iat", made(claims={"aud": service, "exp": now}), now), ("no aud", made(claims={"iat": now, "exp": now}), now),
        ("another claim", claimed(sub="ann"), now), ("exp twice", made(claims=compact(claims)[:-1] + b',"exp":1}'), now),
        ("kek of 7 octets", claimed(kek=b64(bytes(7))), now), ("kek with a spare bit", claimed(kek=kek[:-1] + chr(ord(kek[-1]) + 1)), now),
        ("claims not JSON", made(claims=b"exp"), now), ("text after the claims", made(claims=compact(claims) + b"{}"), now),
    ]
    return {
        "key": {"pkcs8": pkcs8(key).hex(), "spki": spki(key).hex()}, "party": party, "service": service,
        "cases": [outcome({"name": n, "token": t, "now": at}, lambda t=t, at=at: verify_token(key, t, service, at))
                  for n, t, at in cases],
    }


def policy_cases():
    key, other = signing_key("service key"), signing_key("another service's key")
    scope = {"service": seeded("service", 16).hex(), "server": "mail.example.org", "user": "ann@example.org"}
    header = {"alg": "ES256", "kid": key_id(key), "typ": "sidekey-policy+jws"}
    built_in = policy(scope)

    def made(payload=built_in, header=header, key=key):
        octets = [value if isinstance(value, bytes) else compact(value) for value in (header, payload)]
        return jws(key, *octets)

    def saying(**changed):
        return made(policy(scope, **changed))

    digest = sha256(compact(built_in)).hex()
    seen = lambda version, digest=digest: {"version": version, "hash": digest}  # noqa: E731
    other_hash = sha256(b"another").hex()
    cases = [
        ("the built-in policy", made(), None), ("the same again", made(), seen(1)),
        ("newer than the one seen", saying(version=3, suites=["C20P"]), seen(2, other_hash)),
        ("older than the one seen", made(), seen(2)), ("the same version with another content", made(), seen(1, other_hash)),
        ("members in another order, with white space", made(json.dumps(dict(reversed(built_in.items())), indent=1).encode()), None),
        ("a suite that we do not know beside one that we do", saying(suites=["X-NEW", "C20P"]), None),
        ("only suites that we do not know", saying(suites=["X-NEW"]), None),
        *((f"a legacy suite, {name}", saying(suites=["A256GCM", name]), None) for name in ["3DES", "RC4", "AES", "aes"]),
        ("no suites", saying(suites=[]), None), ("a suite with a space", saying(suites=["A256GCM", "a b"]), None),
        ("no items", saying(items=[]), None), ("items out of order", saying(items=["ENVELOPE", "BODY"]), None),
        ("an item twice", saying(items=["BODY", "BODY"]), None), ("an item in lower case", saying(items=["body"]), None),
        ("65 items", saying(items=[f"X{i:02}" for i in range(65)]), None),
        ("mode allow", saying(mode="allow"), None), ("another member", made({**built_in, "note": ""}), None),
        ("a member missing", made(scope), None), ("version twice", made(compact(built_in)[:-1] + b',"version":9}'), None),
        ("version negative", saying(version=-1), None), ("version 2^32", saying(version=2**32), None),
        ("version a text", saying(version="1"), None), ("not JSON", made(b"policy"), None), ("an array", made(list(built_in.values())), None),
        ("of another service", made({**built_in, "service": seeded("another service", 16).hex()}), None),
        ("for another server", made({**built_in, "server": "mail.example.com"}), None),
        ("for another user", made({**built_in, "user": "bob@example.org"}), None),
        ("for the same user in capitals", made({**built_in, "user": "Ann@example.org"}), None),
        ("by another key", made(header={**header, "kid": key_id(other)}, key=other), None),
        ("by another key, under this one's name", made(key=other), None),
        ("typ of a token", made(header={**header, "typ": "sidekey+jwt"}), None), ("alg none", made(header={**header, "alg": "none"}), None),
        ("crit in the header", made(header={**header, "crit": ["exp"]}), None), ("header not JSON", made(header=b"alg"), None),
        ("signature cut", made()[:-2], None), ("two parts", made().rsplit(".", 1)[0], None),
    ]
    return {
        "key": {"pkcs8": pkcs8(key).hex(), "spki": spki(key).hex(), "kid": key_id(key)}, "scope": scope,
        "cases": [outcome({"name": n, "jws": t, "seen": s}, lambda t=t, s=s: verify_policy(key, t, scope, s))
                  for n, t, s in cases],
    }


def envelope_cases():
    kek = {"kw": seeded("kek kw"), "id": seeded("kek id", 8)}
    cek, nonce, now = seeded("cek"), seeded("nonce", 12), 1_700_000_000
    expected = {"service": seeded("service", 16).hex(), "server": "mail.example.org", "user": "ann@example.org",
                "pairing": seeded("party", 16).hex(), "session": seeded("session", 16).hex(), "generation": None,
                "generation_seen": 0}
    header = {"alg": "A256KW", "enc": "A256GCM", "kid": b64(kek["id"]), "typ": "sidekey-key+jwe", "cty": "jwk+json"}
    scope = {name: expected[name] for name in ["service", "server", "user"]}
    payload = {
        "kty": "oct", "k": b64(derive(seeded("session root"), "session", seeded("session", 16), bytes(4))),
        **{f"sk_{name}": expected[name] for name in ["service", "server", "user", "pairing", "session"]},
        "sk_generation": 0, "sk_suite": "A256GCM", "sk_nbf": now, "sk_exp": now + 3600,
        "sk_policy": b64(sha256(compact(policy(scope)))), "sk_caps": ["A256GCM", "C20P", "XENCRYPTED"],
        "sk_offer": b64(hash_of("offer", SUITES)), "sk_head": b64(seeded("head")),
    }

    def made(payload=payload, header=header, kek=kek):
        octets = [value if isinstance(value, bytes) else compact(value) for value in (header, payload)]
        return jwe(kek, *octets, cek, nonce)

    def saying(**changed):
        return made({**payload, **changed})

    def headed(**changed):
        return made(header={**header, **changed})

    def part(index, change):
        parts = plain.split(".")
        parts[index] = change(parts[index])
        return ".".join(parts)

    def without(value, name):
        return {key: item for key, item in value.items() if key != name}

    plain = made()
    foreign = {"kw": seeded("another kek kw"), "id": kek["id"]}
    short = lambda size: lambda _: b64(bytes(size))  # noqa: E731
    escaped = compact(payload).replace(b"ann@", b"\\u0061nn@")
    cases = [
        ("as our own sealer writes it", plain, {}, now),
        ("members in another order, with white space",
         made(json.dumps(dict(reversed(payload.items())), indent=1).encode(),
              json.dumps(dict(reversed(header.items())), indent=1).encode()), {}, now),
        ("escapes where none are needed", made(escaped), {}, now),
        ("of several", saying(sk_offer=b64(bytes(32))), {}, now), ("no capabilities", saying(sk_caps=[]), {}, now),
        ("names that need escapes", saying(sk_user='a"nn\\é', sk_caps=['A"B', "C\\D"]), {"user": 'a"nn\\é'}, now),
        ("a server that does not know the user", plain, {"user": None, "session": None}, now),
        ("the generation asked for", saying(sk_generation=7), {"generation": 7, "generation_seen": 8}, now),
        ("a newer generation", saying(sk_generation=8), {"generation_seen": 7}, now),
        ("60 s before it begins", plain, {}, now - 60), ("61 s before it begins", plain, {}, now - 61),
        ("59 s past its end", plain, {}, now + 3659), ("60 s past its end", plain, {}, now + 3660),
        ("a day long", saying(sk_exp=now + 86400), {}, now), ("longer than a day", saying(sk_exp=now + 86401), {}, now),
        ("ends before it begins", saying(sk_exp=now - 1), {}, now), ("ends as it begins", saying(sk_exp=now), {}, now),
        ("alg dir", headed(alg="dir"), {}, now), ("alg A128KW", headed(alg="A128KW"), {}, now),
        ("alg RSA1_5", headed(alg="RSA1_5"), {}, now), ("enc A128GCM", headed(enc="A128GCM"), {}, now),
        ("enc A256CBC-HS512", headed(enc="A256CBC-HS512"), {}, now), ("typ JWT", headed(typ="JWT"), {}, now),
        ("typ of a token", headed(typ="sidekey+jwt"), {}, now), ("cty jwk-set+json", headed(cty="jwk-set+json"), {}, now),
        ("kid of another key", headed(kid=b64(seeded("another kek id", 8))), {}, now), ("kid a number", headed(kid=1), {}, now),
        ("PBES2 with a huge count", headed(alg="PBES2-HS512+A256KW", p2s="AAAA", p2c=2**31 - 1), {}, now),
        *((f"{name} in the header", headed(**{name: value}), {}, now) for name, value in {
            "crit": ["exp"], "zip": "DEF", "p2c": 2**31 - 1, "jwk": {"kty": "oct"}, "jku": "https://example.org/",
            "apu": "AAAA", "b64": False}.items()),
        *((f"no {name} in the header", made(header=without(header, name)), {}, now) for name in HEADER),
        ("alg twice", made(header=compact(header)[:-1] + b',"alg":"dir"}'), {}, now),
        ("header not JSON", made(header=b"alg"), {}, now), ("header empty", "." + plain.split(".", 1)[1], {}, now),
        ("text after the header", made(header=compact(header) + b"x"), {}, now),
        ("header not UTF-8", made(header=compact(header).replace(b"dir", b"\xff").replace(b"jwk+json", b"\xff")), {}, now),
        ("header changed by a space", part(0, lambda p: b64(compact(header) + b" ")), {}, now),
        ("four parts", plain.rsplit(".", 1)[0], {}, now), ("six parts", plain + ".AAAA", {}, now), ("empty", "", {}, now),
        ("cut short", plain[:-1], {}, now), ("padded", plain + "==", {}, now),
        ("encrypted key empty", part(1, lambda _: ""), {}, now), ("encrypted key of 24 octets", part(1, short(24)), {}, now),
        ("encrypted key a constant of RFC 5649", part(1, lambda _: b64(bytes.fromhex("a65959a600000000"))), {}, now),
        ("encrypted key of 48 octets", part(1, short(48)), {}, now), ("encrypted key of zeros", part(1, short(40)), {}, now),
        ("wrapped under another key", made(kek=foreign), {}, now),
        ("nonce of 16 octets", part(2, short(16)), {}, now), ("nonce of zeros", part(2, short(12)), {}, now),
        ("nonce empty", part(2, lambda _: ""), {}, now), ("ciphertext empty", part(3, lambda _: ""), {}, now),
        ("ciphertext not base64url", part(3, lambda p: p[:-1] + "/"), {}, now), ("ciphertext cut by a block", part(3, lambda p: p[:-64]), {}, now),
        ("tag of 12 octets", part(4, short(12)), {}, now), ("tag of zeros", part(4, short(16)), {}, now),
        ("of another service", saying(sk_service=seeded("another service", 16).hex()), {}, now),
        ("for another server", saying(sk_server="mail.example.com"), {}, now), ("for another user", saying(sk_user="bob@example.org"), {}, now),
        ("for another pairing", saying(sk_pairing=seeded("another party", 16).hex()), {}, now),
        ("of another session", saying(sk_session=seeded("another session", 16).hex()), {}, now),
        ("of another generation than asked for", saying(sk_generation=6), {"generation": 7}, now),
        ("of an older generation than one seen", saying(sk_generation=6), {"generation_seen": 7}, now),
        *((f"legacy suite {name}", saying(sk_suite=name), {}, now) for name in ["3DES", "RC4", "AES", "aes"]),
        ("unknown suite", saying(sk_suite="X-NEW"), {}, now), ("suite in lower case", saying(sk_suite="c20p"), {}, now),
        ("suite a number", saying(sk_suite=1), {}, now), ("a legacy suite among the capabilities", saying(sk_caps=["3DES", "A256GCM"]), {}, now),
        ("capabilities out of order", saying(sk_caps=["C20P", "A256GCM"]), {}, now), ("a capability twice", saying(sk_caps=["C20P", "C20P"]), {}, now),
        ("a capability in lower case", saying(sk_caps=["c20p"]), {}, now), ("65 capabilities", saying(sk_caps=[f"X{i:02}" for i in range(65)]), {}, now),
        ("kty EC", saying(kty="EC"), {}, now), ("key of 31 octets", saying(k=b64(bytes(31))), {}, now), ("key of 33 octets", saying(k=b64(bytes(33))), {}, now),
        ("key padded", saying(k=payload["k"] + "="), {}, now), ("no key", made(without(payload, "k")), {}, now),
        ("no head", made(without(payload, "sk_head")), {}, now), ("another member", saying(alg="A256GCM"), {}, now),
        ("another private member", saying(sk_note=""), {}, now), ("generation twice", made(compact(payload)[:-1] + b',"sk_generation":0}'), {}, now),
        ("generation negative", saying(sk_generation=-1), {}, now), ("generation 2^32", saying(sk_generation=2**32), {}, now),
        ("generation 0.0", made(compact(payload).replace(b'"sk_generation":0', b'"sk_generation":0.0')), {}, now),
        ("end a text", saying(sk_exp=str(now)), {}, now), ("policy hash of 31 octets", saying(sk_policy=b64(bytes(31))), {}, now),
        ("head of 31 octets", saying(sk_head=b64(bytes(31))), {}, now), ("session in upper case", saying(sk_session=expected["session"].upper()), {}, now),
        ("content not JSON", made(b"key"), {}, now), ("content an array", made(list(payload.values())), {}, now), ("header an array", made(header=list(header.values())), {}, now), ("text after the content", made(compact(payload) + b"x"), {}, now),
        ("content not UTF-8", made(compact(payload).replace(b"ann@", b"\xff\xfe@@")), {}, now),
    ]
    return {
        "kek": {"kw": kek["kw"].hex(), "id": kek["id"].hex()}, "cek": cek.hex(), "nonce": nonce.hex(), "expected": expected,
        "sets": set_cases(kek, payload, header, made),
        "cases": [
            outcome({"name": n, "jwe": t, "expected": e, "now": at},
                    lambda t=t, e=e, at=at: open_envelope(kek, t, {**expected, **e}, at), lambda v: {"payload": v})
            for n, t, e, at in cases
        ],
    }


def cose_cases():
    kek = {"gcm": seeded("kek gcm"), "id": seeded("kek id", 8)}
    iv, now = seeded("iv", 12), 1_700_000_000
    scope = {"service": seeded("service", 16).hex(), "server": "mail.example.org", "user": "ann@example.org",
             "pairing": seeded("party", 16).hex()}
    lists = [sha256(compact(policy({name: scope[name] for name in ["service", "server", "user"]}))),
             hash_of("capabilities", ["A256GCM", "C20P", "XENCRYPTED"]), hash_of("offer", SUITES)]
    facts = {"session": seeded("session", 16), "generation": 7, "revocations": 2**40 + 3, "not_before": now, "not_after": now + 3600,
             "key": derive(seeded("session root"), "session", seeded("session", 16), struct.pack(">I", 7)), "context": ctx(*lists)}

    def saying(**changed):
        return cose(kek, iv, scope, cose_content(**{**facts, **changed}))

    def scoped(**changed):
        return cose(kek, iv, {**scope, **changed}, cose_content(**facts))

    def protected_as(header):
        return cose(kek, iv, scope, cose_content(**facts), header)

    plain = saying()
    assert len(plain) == 127
    header, text, kid = plain[3:16], plain[33:], kek["id"]
    whole = ["array", header, ["map", (5, iv)], text]
    swapped = cbor(["map", (4, kid), (1, 3)])
    spelt = [
        ("untagged", cbor(whole)), ("tagged COSE_Sign1", cbor(["tag", 18, whole])), ("tagged COSE_Encrypt", cbor(["tag", 96, whole])),
        ("tagged twice", cbor(["tag", 16, ["tag", 16, whole]])), ("tagged as self-described CBOR", cbor(["tag", 55799, ["tag", 16, whole]])),
        ("the tag in two octets", b"\xd8\x10" + plain[1:]), ("an array of indefinite length", b"\xd0\x9f" + plain[2:] + b"\xff"),
        ("the array's length in two octets", b"\xd0\x98\x03" + plain[2:]),
        ("a fourth element", b"\xd0\x84" + plain[2:] + b"\xf6"), ("two elements", b"\xd0\x82" + plain[2:31]),
        ("protected of indefinite length", plain[:2] + b"\x5f" + plain[2:16] + b"\xff" + plain[16:]),
        ("protected's length in two octets", plain[:2] + b"\x58\x0d" + plain[3:]),
        ("ciphertext's length in three octets", plain[:31] + b"\x59\x00\x5e" + plain[33:]),
        ("IV's length in two octets", plain[:18] + b"\x58\x0c" + plain[19:]),
        ("unprotected of indefinite length", plain[:16] + b"\xbf" + plain[17:31] + b"\xff" + plain[31:]),
        ("label 5 in two octets", plain[:17] + b"\x18\x05" + plain[18:]),
        ("another member in unprotected", cbor(["tag", 16, ["array", header, ["map", (5, iv), (6, b"")], text]])),
        ("kid in unprotected too", cbor(["tag", 16, ["array", header, ["map", (4, kid), (5, iv)], text]])),
        ("IV as a partial IV", cbor(["tag", 16, ["array", header, ["map", (6, iv)], text]])),
        ("no IV", cbor(["tag", 16, ["array", header, ["map"], text]])), ("IV of 11 octets", cbor(["tag", 16, ["array", header, ["map", (5, iv[:11])], text]])),
        ("IV twice", cbor(["tag", 16, ["array", header, ["map", (5, iv), (5, iv)], text]])),
        ("a detached ciphertext", cbor(["tag", 16, ["array", header, ["map", (5, iv)], ["raw", b"\xf6"]]])),
        ("protected a map, not octets", cbor(["tag", 16, ["array", ["raw", header], ["map", (5, iv)], text]])),
        ("protected's members in another order", protected_as(swapped)),
        ("protected of indefinite length inside", protected_as(b"\xbf" + header[1:] + b"\xff")),
        ("alg in two octets", protected_as(b"\xa2\x01\x18\x03" + header[3:])), ("kid of 7 octets", protected_as(cbor(["map", (1, 3), (4, kid[:7])]))),
        ("alg a text", protected_as(cbor(["map", (1, "A256GCM"), (4, kid)]))), ("no kid", protected_as(cbor(["map", (1, 3)]))),
        ("crit in protected", protected_as(cbor(["map", (1, 3), (2, ["array", 4]), (4, kid)]))),
        ("a content type in protected", protected_as(cbor(["map", (1, 3), (3, 0), (4, kid)]))),
        ("protected empty", protected_as(b"")), ("an octet after it", plain + b"\x00"), ("an octet short", plain[:-1]), ("empty", b""),
        ("ciphertext cut by 16", cose_form(header, iv, text[:-16])), ("JSON", b'{"k":1}'),
        ("A128GCM", protected_as(cbor(["map", (1, 1), (4, kid)]))), ("A192GCM", protected_as(cbor(["map", (1, 2), (4, kid)]))),
        ("ChaCha20/Poly1305 in one octet too few", protected_as(cbor(["map", (1, ["raw", b"\x18"]), (4, kid)]))),
        ("kid of another key", protected_as(cbor(["map", (1, 3), (4, seeded("another kek id", 8))]))),
        ("IV of zeros", cose_form(header, bytes(12), text)), ("ciphertext of zeros", cose_form(header, iv, bytes(94))),
        ("under another key", cose({"gcm": seeded("another kek gcm"), "id": kid}, iv, scope, cose_content(**facts))),
        ("sealed without external_aad", cose_form(header, iv, AESGCM(kek["gcm"]).encrypt(iv, cose_content(**facts), cbor(["array", "Encrypt0", header, b""])))),
        ("sealed as COSE_Encrypt", cose_form(header, iv, AESGCM(kek["gcm"]).encrypt(iv, cose_content(**facts), cbor(["array", "Encrypt", header, cose_scope(scope)])))),
    ]
    said = [
        ("as our own sealer writes it", plain, now), ("suite C20P", saying(suite=2), now), ("generation 0, no revocation", saying(generation=0, revocations=0), now),
        ("the highest numbers", saying(generation=U32, revocations=2**64 - 1), now),
        ("version 0", saying(version=0), now), ("version 2", saying(version=2), now), ("suite 0", saying(suite=0), now), ("suite 3", saying(suite=3), now),
        ("60 s before it begins", plain, now - 60), ("61 s before it begins", plain, now - 61), ("59 s past its end", plain, now + 3659),
        ("60 s past its end", plain, now + 3660), ("a day long", saying(not_after=now + 86400), now), ("longer than a day", saying(not_after=now + 86401), now),
        ("ends as it begins", saying(not_after=now), now), ("of another service", scoped(service=seeded("another service", 16).hex()), now),
        ("for another server", scoped(server="mail.example.com"), now), ("for another user", scoped(user="bob@example.org"), now),
        ("for another pairing", scoped(pairing=seeded("another party", 16).hex()), now),
        ("names run into one another", scoped(server="mail.example.orga", user="nn@example.org"), now),
    ]
    long = {"server": "s" * 255, "user": "ü" * 127}
    known = {"policy": lists[0].hex(), "suites": SUITES, "capabilities": ["A256GCM", "C20P", "XENCRYPTED"], "offer": SUITES}
    several = ctx(*lists[:2], bytes(32))
    behind = [
        ("of one", {}, {}), ("of several", {"ctx": several.hex()}, {}), ("of several, our second", {"ctx": several.hex(), "suite": "C20P"}, {}),
        ("no list seen yet", {}, {"capabilities": None}), ("other capabilities", {}, {"capabilities": ["A256GCM", "C20P"]}),
        ("another policy", {}, {"policy": sha256(b"another policy").hex()}), ("another offer", {}, {"offer": ["C20P"]}),
        ("our offer in another order", {}, {"offer": SUITES[::-1]}), ("another hash", {"ctx": seeded("ctx", 8).hex()}, {}),
        ("of one, our second though our first was allowed", {"suite": "C20P"}, {}), ("a suite that the policy forbids", {}, {"suites": ["C20P"]}),
        ("of several, a suite that we did not offer", {"ctx": several.hex(), "suite": "C20P"}, {"offer": ["A256GCM"]}),
    ]
    plain_fields = {"suite": "A256GCM", "ctx": facts["context"].hex()}
    return {
        "kek": {"gcm": kek["gcm"].hex(), "id": kid.hex()}, "iv": iv.hex(), "scope": scope,
        "policy": lists[0].hex(), "capabilities": ["A256GCM", "C20P", "XENCRYPTED"], "offer": SUITES,
        "longest_names": {**long, "cose": cose(kek, iv, {**scope, **long}, cose_content(**facts)).hex()},
        "cases": [outcome({"name": n, "cose": octets.hex(), "now": at}, lambda o=octets, at=at: open_cose(kek, o, scope, at))
                  for n, octets, at in said + [(n, octets, now) for n, octets in spelt]],
        "lists": [outcome({"name": n, "carried": {**plain_fields, **c}, "known": {**known, **k}},
                          lambda c=c, k=k: cose_lists({**plain_fields, **c}, {**known, **k}))
                  for n, c, k in behind],
    }


def set_cases(kek, payload, header, made):
    """Sets of keys; `made` seals a payload under a header."""
    other = {**payload, "sk_session": seeded("another session", 16).hex(), "k": b64(seeded("another session key"))}
    of_set = {**header, "cty": "jwk-set+json"}

    def sealed(content, header=of_set):
        return made(content, header)

    cases = [
        ("as our own sealer writes it", sealed({"keys": [payload, other]}), 2), ("one key", sealed({"keys": [payload]}), 1),
        ("white space", sealed(json.dumps({"keys": [payload]}, indent=1).encode()), 1),
        ("fewer keys than asked for", sealed({"keys": [payload]}), 2), ("more keys than asked for", sealed({"keys": [payload, other]}), 1),
        ("no keys", sealed({"keys": []}), 1), ("cty of one key", sealed({"keys": [payload]}, header), 1),
        ("one key without a set", sealed(payload), 1), ("an array", sealed([payload]), 1), ("another member", sealed({"keys": [payload], "next": ""}), 1),
        ("keys twice", sealed(compact({"keys": [payload]})[:-1] + b',"keys":[]}'), 1), ("a key as an array", sealed({"keys": [list(payload.values())]}), 1),
        ("a key with another member", sealed({"keys": [{**payload, "sk_note": ""}]}), 1), ("a key with a legacy suite", sealed({"keys": [{**payload, "sk_suite": "RC4"}]}), 1),
        ("a key that is too short", sealed({"keys": [{**payload, "k": b64(bytes(31))}]}), 1), ("not JSON", sealed(b"keys"), 1),
    ]
    return [outcome({"name": n, "jwe": t, "count": c}, lambda t=t, c=c: open_set(kek, t, c), lambda v: {"keys": v}) for n, t, c in cases]


def agreement_cases():
    caps, mine = ["A256GCM", "C20P", "XENCRYPTED"], ["A256GCM", "C20P"]
    own, zeros = hash_of("offer", mine).hex(), bytes(32).hex()
    held, other = sha256(b"policy").hex(), sha256(b"another policy").hex()
    bound = {"suite": "A256GCM", "policy": held, "capabilities": caps, "offer": own}
    known = {"policy": held, "suites": SUITES, "offer": mine, "capabilities": None}
    cases = [
        ("of one, our first", {}, {}), ("of several", {"offer": zeros}, {}), ("of several, our second", {"offer": zeros, "suite": "C20P"}, {}),
        ("a server", {}, {"offer": None, "capabilities": caps}),
        ("under another policy", {"policy": other}, {}), ("other capabilities than the server named", {}, {"offer": None, "capabilities": mine}),
        ("for another offer", {"offer": hash_of("offer", ["C20P"]).hex()}, {}), ("for our offer in another order", {"offer": hash_of("offer", mine[::-1]).hex()}, {}),
        ("of one, our second though our first was allowed", {"suite": "C20P"}, {}),
        ("of one, our second since the policy forbids our first", {"suite": "C20P"}, {"suites": ["C20P"]}),
        ("of one, our second since the server lacks our first", {"suite": "C20P", "capabilities": ["C20P"]}, {}),
        ("of several, a suite that we did not offer", {"offer": zeros, "suite": "C20P"}, {"offer": ["A256GCM"]}),
        ("a suite that the policy forbids", {}, {"suites": ["C20P"]}), ("a suite that the server did not name", {"capabilities": ["C20P"]}, {}),
        ("a server, a suite that the policy forbids", {}, {"suites": ["C20P"], "offer": None}),
    ]
    return [
        outcome({"name": n, "bound": {**bound, **b}, "known": {**known, **k}},
                lambda b=b, k=k: agree({**bound, **b}, {**known, **k}), lambda _: {"agrees": True})
        for n, b, k in cases
    ]


def vectors():
    return {
        "about": "Made by tests/counterparts/reference/session.py. Hex, but for what is base64url on the wire. `refused` is the reason.",
        "session_keys": derivation_cases(), **hash_cases(), **choice_cases(), **time_cases(),
        "tokens": token_cases(), "policies": policy_cases(), "envelopes": envelope_cases(), "cose": cose_cases(), "agreement": agreement_cases(),
    }


if __name__ == "__main__":
    command(vectors, __doc__)
