"""Pairing, written from proto/pairing/spec.md and the RFCs it names: both sides of one exchange, and every value in between.

    python pairing.py --check proto/pairing/vectors.json     recomputes the file and compares
    python pairing.py --write proto/pairing/vectors.json     makes it; a published vector never changes

Independent of the Rust: the arithmetic of P-256 and RFC 6979 are here, Argon2id is argon2-cffi's, AES-GCM is cryptography's,
ML-KEM is kyber-py's. It is a reference for tests: nothing in it runs in constant time.
"""

import base64
import hashlib
import hmac
import json

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kyber_py.ml_kem import ML_KEM_768
from vectors import command

# --- P-256 (FIPS 186-5, SP 800-186), affine; None is the identity ---

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = P - 3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(p, q):
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def mul(k, p):
    result = None
    for bit in bin(k % ORDER)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, p)
    return result


def neg(p):
    return p[0], -p[1] % P


def octets(number):
    return number.to_bytes(32, "big")


def encode(p):
    return b"\x04" + octets(p[0]) + octets(p[1])


def decompress(text):
    data = bytes.fromhex(text)
    x = int.from_bytes(data[1:], "big")
    y = pow(x**3 + A * x + B, (P + 1) // 4, P)
    assert (y * y - x**3 - A * x - B) % P == 0
    return x, y if y % 2 == data[0] % 2 else P - y


# RFC 9383 section 4.
M = decompress("02886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f")
N = decompress("03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49")


class Refused(Exception):
    pass


def decode(share):
    """Section 4's checks of a share."""
    if len(share) != 65 or share[0] != 4:
        raise Refused("share")
    x, y = int.from_bytes(share[1:33], "big"), int.from_bytes(share[33:], "big")
    if x >= P or y >= P or (y * y - x**3 - A * x - B) % P != 0:
        raise Refused("share")
    return x, y


# --- Primitives ---


def sha256(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def extract(salt, ikm):
    return mac(salt or bytes(32), ikm)


def expand(prk, info, size):
    okm, block, i = b"", b"", 1
    while len(okm) < size:
        block = mac(prk, block + info + bytes([i]))
        okm, i = okm + block, i + 1
    return okm[:size]


def lp(label, *fields):
    fields = (b"sidekey/1 " + label.encode(), *fields)
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def derive(key, label, *fields):
    return expand(key, lp(label, *fields), 32)


def le64(*fields):
    return b"".join(len(field).to_bytes(8, "little") + field for field in fields)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def spki(scalar):
    return bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + encode(mul(scalar, G))


def nonce_6979(scalar, digest):
    """RFC 6979 section 3.2 with SHA-256: the order has as many bits as the digest."""
    reduced = octets(int.from_bytes(digest, "big") % ORDER)
    v, k = b"\x01" * 32, bytes(32)
    for separator in (b"\x00", b"\x01"):
        k = mac(k, v + separator + octets(scalar) + reduced)
        v = mac(k, v)
    while True:
        v = mac(k, v)
        candidate = int.from_bytes(v, "big")
        if 0 < candidate < ORDER:
            return candidate
        k = mac(k, v + b"\x00")
        v = mac(k, v)


def sign(scalar, message):
    """ES256, r ‖ s."""
    digest = sha256(message)
    k = nonce_6979(scalar, digest)
    r = mul(k, G)[0] % ORDER
    s = pow(k, -1, ORDER) * (int.from_bytes(digest, "big") + r * scalar) % ORDER
    return octets(r) + octets(s)


def verify(key_spki, message, signature):
    key = decode(key_spki[-65:])
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise Refused("signature")
    w = pow(s, -1, ORDER)
    point = add(mul(int.from_bytes(sha256(message), "big") * w, G), mul(r * w, key))
    if point is None or point[0] % ORDER != r:
        raise Refused("signature")


def compact(content):
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


# --- SPAKE2+ (RFC 9383 section 3) ---


def stretch(code, id_prover, id_verifier, salt):
    wide = hash_secret_raw(
        le64(code, id_prover, id_verifier), salt, time_cost=2, memory_cost=19456, parallelism=1, hash_len=80, type=Type.ID
    )
    return wide, int.from_bytes(wide[:40], "big") % ORDER, int.from_bytes(wide[40:], "big") % ORDER


def schedule(context, id_prover, id_verifier, x_share, y_share, z, v, w0):
    tt = le64(
        context, id_prover, id_verifier, encode(M), encode(N), x_share, y_share, encode(z), encode(v), octets(w0)
    )
    k_main = sha256(tt)
    prk = extract(b"", k_main)
    both = expand(prk, b"ConfirmationKeys", 64)
    return {
        "Z": encode(z),
        "V": encode(v),
        "TT": tt,
        "K_main": k_main,
        "K_confirmP": both[:32],
        "K_confirmV": both[32:],
        "confirm_p": mac(both[:32], y_share),
        "confirm_v": mac(both[32:], x_share),
        "K_shared": expand(prk, b"SharedKey", 32),
    }


def as_prover(w0, w1, x, y_share):
    blinded = add(decode(y_share), neg(mul(w0, N)))
    return mul(x, blinded), mul(w1, blinded)


def as_verifier(w0, big_l, y, x_share):
    blinded = add(decode(x_share), neg(mul(w0, M)))
    if blinded is None:
        raise Refused("Z")
    return mul(y, blinded), mul(y, decode(big_l))


def rfc9383():
    """Appendix C, first vector: the check of this file's own arithmetic."""
    w0 = 0xBB8E1BBCF3C48F62C08DB243652AE55D3E5586053FCA77102994F23AD95491B3
    w1 = 0x7E945F34D78785B8A3EF44D0DF5A1A97D6B3B460409A345CA7830387A74B1DBA
    x = 0xD1232C8E8693D02368976C174E2088851B8365D0D79A9EEE709C6A05A2FAD539
    y = 0x717A72348A182085109C8D3917D6C43D59B224DC6A7FC4F0483232FA6516D8B3
    big_l = encode(mul(w1, G))
    x_share, y_share = encode(add(mul(x, G), mul(w0, M))), encode(add(mul(y, G), mul(w0, N)))
    z, v = as_verifier(w0, big_l, y, x_share)
    assert as_prover(w0, w1, x, y_share) == (z, v)
    context = b"SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors"
    keys = schedule(context, b"client", b"server", x_share, y_share, z, v, w0)
    assert keys["K_main"].hex() == "4c59e1ccf2cfb961aa31bd9434478a1089b56cd11542f53d3576fb6c2a438a29"
    assert keys["confirm_p"].hex() == "926cc713504b9b4d76c9162ded04b5493e89109f6d89462cd33adc46fda27527"
    assert keys["confirm_v"].hex() == "9747bcc4f8fe9f63defee53ac9b07876d907d55047e6ff2def2e7529089d3e68"
    assert keys["K_shared"].hex() == "0c5f8ccd1413423a54f6c1fb26ff01534a87f893779c6e68666d772bfd91f3e7"


# --- ML-KEM-768 (FIPS 203) with its randomness given ---


def kem_keygen(seed):
    return ML_KEM_768.key_derive(seed)


def kem_encaps(ek, m):
    shared, ciphertext = ML_KEM_768._encaps_internal(ek, m)
    return ciphertext, shared


# --- Pairing ---


def fixed(name, size=32):
    """Stands for randomness: the same in every run, and visibly nobody's secret."""
    return expand(sha256(b"sidekey test vector: pairing"), name.encode(), size)


def scalar(name):
    return int.from_bytes(fixed(name), "big")


def box(root, label, th, nonce, content):
    plaintext = compact(content)
    return plaintext, nonce + AESGCM(derive(root, label)).encrypt(nonce, plaintext, th)


def exchange(name, role, user, server, code, public_url, pinned, label, offer, policy):
    """Runs both sides with fixed randomness and records what each computes."""
    random = {
        "x": fixed(f"{name} x"),
        "y": fixed(f"{name} y"),
        "kem_seed": fixed(f"{name} kem seed", 64),
        "kem_m": fixed(f"{name} kem m"),
        "client_key": fixed(f"{name} client key"),
        "service_key": fixed("service key"),
        "client_nonce": fixed(f"{name} client nonce", 12),
        "service_nonce": fixed(f"{name} service nonce", 12),
        "state": fixed(f"{name} state", 16),
    }
    x, y = int.from_bytes(random["x"], "big"), int.from_bytes(random["y"], "big")
    client, service = int.from_bytes(random["client_key"], "big"), int.from_bytes(random["service_key"], "big")
    assert all(0 < number < ORDER for number in (x, y, client, service))

    invitation, pairing, service_id = (fixed(f"{name} invitation", 16), fixed(f"{name} pairing", 16), fixed("service", 16))
    id_prover, id_verifier = invitation.hex().encode(), public_url.encode()
    salt = sha256(lp("code", invitation))
    wide, w0, w1 = stretch(code.replace("-", "").encode(), id_prover, id_verifier, salt)
    big_l = encode(mul(w1, G))

    share_p = encode(add(mul(x, G), mul(w0, M)))
    ek, dk = kem_keygen(random["kem_seed"])
    client_spki, service_spki = spki(client), spki(service)
    key_hash = sha256(client_spki)

    ct, kem_ss = kem_encaps(ek, random["kem_m"])
    assert ML_KEM_768.decaps(dk, ct) == kem_ss
    share_v = encode(add(mul(y, G), mul(w0, N)))
    context = lp(
        "pairing", role.encode(), server.encode(), (user or "").encode(), key_hash, ek, ct, service_spki
    )
    z, v = as_verifier(w0, big_l, y, share_p)
    assert as_prover(w0, w1, x, share_v) == (z, v)
    keys = schedule(context, id_prover, id_verifier, share_p, share_v, z, v, w0)
    th = sha256(lp("transcript", context, invitation, id_verifier, share_p, share_v))
    root = extract(th, keys["K_shared"] + kem_ss)

    finish_time = 1_800_000_000
    client_signature, service_signature = sign(client, lp("box client", th)), sign(service, lp("box service", th))
    verify(client_spki, lp("box client", th), client_signature)
    verify(service_spki, lp("box service", th), service_signature)
    client_plain, client_box = box(
        root,
        "box client",
        th,
        random["client_nonce"],
        {"key": b64(client_spki), "label": label, "offer": offer, "pinned": pinned, "signature": b64(client_signature)},
    )
    content = {"pairing": pairing.hex(), "service": service_id.hex(), "state": "active"}
    if policy is not None:
        content["policy"] = policy
    content |= {"epoch": 0, "not_after": finish_time + 7 * 24 * 3600, "signature": b64(service_signature)}
    service_plain, service_box = box(root, "box service", th, random["service_nonce"], content)

    state = b64(random["state"])
    answer = {
        "share_v": b64(share_v),
        "confirm_v": b64(keys["confirm_v"]),
        "kem_ct": b64(ct),
        "service_key": b64(service_spki),
        "role": role,
        "server": server,
    }
    if user is not None:
        answer["user"] = user
    answer["state"] = state
    pin = b64(sha256(service_spki)[:16])
    return {
        "name": name,
        "given": {
            "public_url": public_url,
            "invitation": invitation.hex(),
            "code": code,
            "role": role,
            "server": server,
            "user": user,
            "label": label,
            "offer": offer,
            "pinned": pinned,
            "pairing": pairing.hex(),
            "service": service_id.hex(),
            "policy": policy,
            "finish_time": finish_time,
        },
        "random": random,
        "link": f"{public_url}/p/{invitation.hex()}#{code}.{pin}",
        "stretch": {"salt": salt, "w0s_w1s": wide, "w0": octets(w0), "w1": octets(w1), "L": big_l},
        "begin": {"share_p": b64(share_p), "kem_ek": b64(ek), "key_hash": b64(key_hash)},
        "begin_answer": answer,
        "spake2plus": {"Context": context, **keys},
        "th": th,
        "kem_ss": kem_ss,
        "root_0": root,
        "kek_kw": derive(root, "kek kw"),
        "kek_gcm": derive(root, "kek gcm"),
        "kid": derive(root, "kek id")[:8],
        "box_client": {"key": derive(root, "box client"), "signed": lp("box client", th), "plaintext": client_plain.decode()},
        "finish": {"confirm_p": b64(keys["confirm_p"]), "state": state, "box": b64(client_box)},
        "box_service": {"key": derive(root, "box service"), "signed": lp("box service", th), "plaintext": service_plain.decode()},
        "finish_answer": {"box": b64(service_box)},
    }


def shares():
    """What is never a share, and why."""
    good = mul(scalar("share"), G)
    x, y = octets(good[0]), octets(good[1])
    small = next(i for i in range(1, 2**20) if pow(i**3 + A * i + B, (P - 1) // 2, P) == 1 and i + P < 2**256)
    small_y = pow(small**3 + A * small + B, (P + 1) // 4, P)
    off = octets((good[1] + 1) % P)
    return [
        {"why": "empty", "share": b""},
        {"why": "the identity, one octet", "share": b"\x00"},
        {"why": "the identity, padded with zeros", "share": bytes(65)},
        {"why": "coordinates zero", "share": b"\x04" + bytes(64)},
        {"why": "compressed", "share": bytes([2 + good[1] % 2]) + x},
        {"why": "hybrid, tag 06 or 07", "share": bytes([6 + good[1] % 2]) + x + y},
        {"why": "compact, tag 05", "share": b"\x05" + x},
        {"why": "compressed tag on two coordinates", "share": b"\x02" + x + y},
        {"why": "64 octets", "share": (b"\x04" + x + y)[:64]},
        {"why": "66 octets", "share": b"\x04" + x + y + b"\x00"},
        {"why": "not on the curve", "share": b"\x04" + x + off},
        {"why": "x at or above the prime, else on the curve", "share": b"\x04" + octets(small + P) + octets(small_y)},
        {"why": "x is the prime", "share": b"\x04" + octets(P) + y},
        {"why": "y is the prime", "share": b"\x04" + x + octets(P)},
        {"why": "all ones", "share": b"\x04" + b"\xff" * 64},
    ]


def refusals(case):
    """One change to the positive case each, and who refuses it for what."""
    w0 = int.from_bytes(case["stretch"]["w0"], "big")
    ek = bytearray(kem_keygen(case["random"]["kem_seed"])[0])
    ek[0:2] = b"\xff\xff"
    other = spki(scalar("another key"))
    answer = case["begin_answer"]
    return [
        {"why": "share_p is w0·M, so that Z is the identity", "message": "begin", "change": {"share_p": b64(encode(mul(w0, M)))}, "by": "service", "reason": "BadShare", "attempt": True},
        {"why": "share_p is the identity", "message": "begin", "change": {"share_p": b64(b"\x00")}, "by": "service", "reason": "BadShare", "attempt": False},
        {"why": "a coefficient of kem_ek is beyond the modulus", "message": "begin", "change": {"kem_ek": b64(bytes(ek))}, "by": "service", "reason": "BadKemKey", "attempt": False},
        {"why": "kem_ek is an octet short", "message": "begin", "change": {"kem_ek": b64(bytes(ek[:-1]))}, "by": "service", "reason": "BadKemKey", "attempt": False},
        {"why": "kem_ek is swapped on the way", "message": "begin", "change": {"kem_ek": b64(kem_keygen(fixed("other seed", 64))[0])}, "by": "client", "reason": "CodeMismatch", "attempt": True},
        {"why": "key_hash is swapped on the way", "message": "begin", "change": {"key_hash": b64(sha256(other))}, "by": "client", "reason": "CodeMismatch", "attempt": True},
        {"why": "share_v is w0·N, so that Z is the identity", "message": "begin_answer", "change": {"share_v": b64(encode(mul(w0, N)))}, "by": "client", "reason": "BadShare"},
        {"why": "share_v is another point", "message": "begin_answer", "change": {"share_v": b64(encode(mul(scalar("share"), G)))}, "by": "client", "reason": "CodeMismatch"},
        {"why": "share_v is compressed", "message": "begin_answer", "change": {"share_v": b64(bytes([2]) + octets(G[0]))}, "by": "client", "reason": "BadShare"},
        {"why": "kem_ct is swapped", "message": "begin_answer", "change": {"kem_ct": b64(fixed("ct", 1088))}, "by": "client", "reason": "CodeMismatch"},
        {"why": "kem_ct is an octet long", "message": "begin_answer", "change": {"kem_ct": b64(fixed("ct", 1089))}, "by": "client", "reason": "BadKemCiphertext"},
        {"why": "another service's key", "message": "begin_answer", "change": {"service_key": b64(other)}, "by": "client", "reason": "PinMismatch"},
        {"why": "service_key is a bare point", "message": "begin_answer", "change": {"service_key": b64(other[-65:])}, "by": "client", "reason": "BadServiceKey"},
        {"why": "a client is made a server", "message": "begin_answer", "change": {"role": "server", "user": None}, "by": "client", "reason": "RoleMismatch"},
        {"why": "a client without user", "message": "begin_answer", "change": {"user": None}, "by": "client", "reason": "UserMismatch"},
        {"why": "another user", "message": "begin_answer", "change": {"user": "bob@example.org"}, "by": "client", "reason": "CodeMismatch"},
        {"why": "another server", "message": "begin_answer", "change": {"server": "mail.example.com"}, "by": "client", "reason": "CodeMismatch"},
        {"why": "confirm_p is confirm_v reflected", "message": "finish", "change": {"confirm_p": answer["confirm_v"]}, "by": "service", "reason": "CodeMismatch"},
        {"why": "the state of no exchange", "message": "finish", "change": {"state": b64(bytes(16))}, "by": "service", "reason": "StateUnknown"},
        {"why": "the service's box reflected", "message": "finish", "change": {"box": case["finish_answer"]["box"]}, "by": "service", "reason": "BadBox"},
        {"why": "a box of 27 octets", "message": "finish", "change": {"box": b64(bytes(27))}, "by": "service", "reason": "BadBox"},
        {"why": "the client's box reflected", "message": "finish_answer", "change": {"box": case["finish"]["box"]}, "by": "client", "reason": "BadBox"},
    ]


def boxes(case):
    """Boxes that open, and hold what is refused."""
    root, th = case["root_0"], case["th"]
    key = int.from_bytes(case["random"]["client_key"], "big")
    plain, served = json.loads(case["box_client"]["plaintext"]), json.loads(case["box_service"]["plaintext"])
    other = scalar("another key")
    stranger = {"key": b64(spki(other)), "signature": b64(sign(other, lp("box client", th)))}
    rows = [
        ("client", "another key than the one committed to, properly signed", plain | stranger, "KeyMismatch"),
        ("client", "signed by another key", plain | {"signature": stranger["signature"]}, "Unsigned"),
        ("client", "signed under the service's label", plain | {"signature": b64(sign(key, lp("box service", th)))}, "Unsigned"),
        ("client", "signed for another exchange", plain | {"signature": b64(sign(key, lp("box client", bytes(32))))}, "Unsigned"),
        ("client", "no label", plain | {"label": ""}, "BadLabel"),
        ("client", "a label of 65 characters", plain | {"label": "ä" * 65}, "BadLabel"),
        ("client", "a line feed in the label", plain | {"label": "a\nb"}, "BadLabel"),
        ("client", "a direction override in the label", plain | {"label": "a\u202eb"}, "BadLabel"),
        ("client", "an empty offer", plain | {"offer": []}, "BadOffer"),
        ("client", "an offer of 65 names", plain | {"offer": [f"S{i}" for i in range(65)]}, "BadOffer"),
        ("client", "an offer that names a legacy suite", plain | {"offer": ["A256GCM", "3DES"]}, "LegacySuite"),
        ("client", "an offer that names a legacy suite in lower case", plain | {"offer": ["C20P", "aes"]}, "LegacySuite"),
        ("client", "nothing in common with the policy", plain | {"offer": ["X448"]}, "NoCommonSuite"),
        ("client", "an unknown member", plain | {"admin": True}, "MalformedBox"),
        ("client", "a member is missing", {k: v for k, v in plain.items() if k != "pinned"}, "MalformedBox"),
        ("service", "signed by another key", served | {"signature": b64(sign(other, lp("box service", th)))}, "Unsigned"),
        ("service", "another epoch", served | {"epoch": 1}, "MalformedBox"),
        ("service", "another state", served | {"state": "confirmed"}, "MalformedBox"),
        ("service", "an unknown member", served | {"suite": "3DES"}, "MalformedBox"),
        ("service", "the policy is gone", {k: v for k, v in served.items() if k != "policy"}, "PolicyMismatch"),
    ]
    made = []
    for i, (side, why, content, reason) in enumerate(rows):
        label = f"box {side}"
        made.append({"side": side, "why": why, "box": b64(box(root, label, th, fixed(f"box {i}", 12), content)[1]), "reason": reason})
    return made


NOTE = (
    "Pairing, proto/pairing/spec.md. Messages as they travel (binary base64url); every other octet string in hex. "
    "'random' names what each side draws; 'reason' is the refusal's name in the reference implementation. A published vector never changes."
)


def build():
    rfc9383()
    url, server, suites = "https://keys.example.org", "mail.example.org", ["A256GCM", "C20P"]
    cases = [
        exchange("client", "client", "ann@example.org", server, "7K3M-Q9ZT", url, True, "Ann’s phone", suites, "e30.e30.e30"),
        exchange("client by hand", "client", "Жанна", server, "00AB-CDEF", url, False, "K-9", ["C20P", "FUTURE"], "e30.e30.e30"),
        exchange("server", "server", None, server, "ZZZZ-ZZZZ", url + ":8443/sidekey", True, "gateway 1", suites, None),
    ]
    wide = [bytes(40), octets(0) + b"\xff" * 8, b"\xff" * 40, bytes(8) + octets(ORDER), bytes(8) + octets(ORDER - 1), b"\x01" + bytes(39), fixed("wide", 40)]
    return {
        "note": NOTE,
        "cases": cases,
        "reduce": [{"wide": w, "reduced": octets(int.from_bytes(w, "big") % ORDER)} for w in wide],
        "bad_shares": shares(),
        "refusals_of_the_first_case": refusals(cases[0]),
        "boxes_of_the_first_case": boxes(cases[0]),
    }


if __name__ == "__main__":
    command(build, __doc__)
