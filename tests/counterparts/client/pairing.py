"""Pairing: proto/pairing/spec.md, sections 2 to 5 and 11, as the client of an exchange."""

import re
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import p256, signing, suites
from .notation import (
    Refused, b64, compact, derive, extract, has_control, is_b64, is_flag, is_id, is_name, is_text, is_texts, is_u32,
    lp, members, parse_json, refuse_unless, sha256, unb64,
)
from .spake2plus import Prover, split, stretch

KEM_EK, KEM_CT = 1184, 1088
DIRECTION = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
BEGIN_ANSWER = {
    "share_v": is_text, "confirm_v": is_b64(32), "kem_ct": is_text, "service_key": is_text, "role": is_text,
    "server": is_name, "user": is_name, "state": is_text,
}  # fmt: skip
CLIENT_BOX = {"key": is_b64(91), "label": is_text, "offer": is_texts, "pinned": is_flag, "signature": is_b64(64)}
SERVICE_BOX = {
    "pairing": is_id, "service": is_id, "state": is_text, "approval": is_text, "policy": is_text, "epoch": is_u32,
    "not_after": is_u32, "signature": is_b64(64),
}  # fmt: skip


def read_code(text):
    """The eight symbols of a code as somebody typed it."""
    symbols = re.sub("[ -]", "", text).upper().replace("I", "1").replace("L", "1").replace("O", "0")
    refuse_unless(re.fullmatch("[0-9A-HJKMNP-TV-Z]{8}", symbols), "code_malformed")
    return symbols


@dataclass
class Link:
    public_url: str
    invitation: str
    code: str | None = None
    pin: str | None = None


def read_link(text):
    found = re.fullmatch(r"(https://[!-~]+)/p/([0-9a-f]{32})(?:#(.*))?", text.strip())
    refuse_unless(found, "link_malformed")
    link = Link(found[1], found[2])
    if found[3] is not None:
        secret = re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4})\.([A-Za-z0-9_-]{22})", found[3])
        refuse_unless(secret, "link_malformed", "its fragment is not a code and a pin")
        link.code, link.pin = secret[1], secret[2]
    return link


def is_label(text):
    fits = 1 <= len(text) <= 64 and text == text.strip()
    return fits and not has_control(text) and not DIRECTION & set(text)


def seal_box(key, nonce, plaintext, th):
    return nonce + AESGCM(key).encrypt(nonce, plaintext, th)


def open_box(key, box, th):
    refuse_unless(28 <= len(box) <= 65536, "BadBox")
    try:
        return AESGCM(key).decrypt(box[:12], box[12:], th)
    except InvalidTag:
        raise Refused("BadBox") from None


def box_members(plaintext, shape, optional=()):
    try:
        content = parse_json(plaintext)
    except ValueError:
        raise Refused("MalformedBox") from None
    refuse_unless(members(content, shape, optional), "MalformedBox")
    return content


def kem_private(seed=None):
    """A decapsulation key from the 64 octets d ‖ z of FIPS 203."""
    return mlkem.MLKEM768PrivateKey.from_seed_bytes(seed or secrets.token_bytes(64))


def digits(th, key_spki):
    number = int.from_bytes(sha256(lp("digits", th, key_spki)), "big") % 10**16
    return re.sub(r"(\d{4})(?=\d)", r"\1 ", f"{number:016}")


def epoch_keys(root):
    """KEK_kw, KEK_gcm and kid of a root."""
    return derive(root, "kek kw"), derive(root, "kek gcm"), derive(root, "kek id")[:8]


def pairing_context(role, server, user, key_hash, kem_ek, kem_ct, service_key):
    return lp("pairing", role, server, user, key_hash, kem_ek, kem_ct, service_key)


def transcript(context, link, share_p, share_v):
    return sha256(lp("transcript", context, bytes.fromhex(link.invitation), link.public_url, share_p, share_v))


class Exchange:
    """One exchange, from the code to the first root. What is random may be given, for the vectors."""

    def __init__(self, link, code, role, key, *, x=None, kem_seed=None, stretched=None):
        self.link, self.role, self.key = link, role, key
        self.kem = kem_private(kem_seed)
        w0, w1 = split(stretched or stretch(read_code(code), link.invitation, link.public_url))
        self.prover = Prover(w0, w1, x or secrets.randbelow(p256.ORDER - 1) + 1)
        self.kem_ek = self.kem.public_key().public_bytes_raw()
        self.key_hash = sha256(signing.spki(key))

    def begin(self):
        return {"share_p": b64(self.prover.share), "kem_ek": b64(self.kem_ek), "key_hash": b64(self.key_hash)}

    def begun(self, answer):
        """The service's answer, refused in the order of section 3; confirm_p is known from here on."""
        refuse_unless(members(answer, BEGIN_ANSWER, ("user",)), "MalformedAnswer")
        refuse_unless(answer["role"] == self.role, "RoleMismatch", f"the invitation is for a {answer['role']}")
        refuse_unless(("user" in answer) == (self.role == "client"), "UserMismatch")
        self.server, self.user, self.state = answer["server"], answer.get("user"), answer["state"]
        try:
            self.service_key = unb64(answer["service_key"])
            signing.load_spki(self.service_key)
        except ValueError:
            raise Refused("BadServiceKey") from None
        if self.link.pin is not None:
            refuse_unless(signing.pin(self.service_key) == self.link.pin, "PinMismatch")
        share_v, kem_ct = unb64(answer["share_v"]), unb64(answer["kem_ct"])
        p256.decode(share_v)
        refuse_unless(len(kem_ct) == KEM_CT, "BadKemCiphertext")
        self.context = pairing_context(
            self.role, self.server, self.user, self.key_hash, self.kem_ek, kem_ct, self.service_key
        )
        ids = self.link.invitation.encode(), self.link.public_url.encode()
        self.secrets = self.prover.conclude(self.context, ids, share_v)
        self.secrets.check(self.secrets.confirm_v, unb64(answer["confirm_v"]))
        self.kem_ss = self.kem.decapsulate(kem_ct)
        self.th = transcript(self.context, self.link, self.prover.share, share_v)
        self.root = extract(self.th, self.secrets.shared + self.kem_ss)

    def finish(self, label, offer, *, nonce=None):
        refuse_unless(is_label(label), "BadLabel")
        suites.check_offer(offer)
        content = {
            "key": b64(signing.spki(self.key)),
            "label": label,
            "offer": offer,
            "pinned": self.link.pin is not None,
            "signature": b64(signing.sign(self.key, lp("box client", self.th))),
        }
        key = derive(self.root, "box client")
        box = seal_box(key, nonce or secrets.token_bytes(12), compact(content), self.th)
        return {"confirm_p": b64(self.secrets.confirm_p), "state": self.state, "box": b64(box)}

    def finished(self, answer):
        """The service's box; its policy is still to be verified."""
        refuse_unless(members(answer, {"box": is_text}), "MalformedAnswer")
        return self.open_service_box(unb64(answer["box"]))

    def open_service_box(self, box):
        plaintext = open_box(derive(self.root, "box service"), box, self.th)
        content = box_members(plaintext, SERVICE_BOX, ("approval", "policy"))
        waits = content["state"] == "confirmed"
        refuse_unless(waits or content["state"] == "active", "MalformedBox", "another state")
        refuse_unless(("approval" in content) == waits, "MalformedBox", "approval against the state")
        refuse_unless(content.get("approval", "admin") in ("admin", "device"), "MalformedBox")
        refuse_unless(content["epoch"] == 0, "MalformedBox", "another epoch")
        signature = unb64(content["signature"])
        refuse_unless(signing.verifies(self.service_key, signature, lp("box service", self.th)), "Unsigned")
        refuse_unless(("policy" in content) == (self.role == "client"), "PolicyMismatch")
        return content

    def digits(self):
        return digits(self.th, signing.spki(self.key))
