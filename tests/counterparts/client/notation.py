"""The notation and the encodings of proto/README.md: what every other module is written in."""

import base64
import hashlib
import hmac
import json
import re

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

U32_MAX = 2**32 - 1
LEGACY = {"3DES", "RC4", "AES"}
SUITES = {"A256GCM": 1, "C20P": 2}
SUITE_NAMES = {octet: name for name, octet in SUITES.items()}


class Refused(Exception):
    """Something is not what it has to be; `reason` is the name that proto/ gives to it."""

    def __init__(self, reason, detail=""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Repeated(ValueError):
    """A JSON object has a member twice."""


def refuse_unless(holds, reason, detail=""):
    if not holds:
        raise Refused(reason, detail)


def sha256(octets):
    return hashlib.sha256(octets).digest()


def mac(key, message):
    return hmac.digest(key, message, "sha256")


def extract(salt, ikm):
    """HKDF-Extract of RFC 5869, which is HMAC with the salt as its key."""
    return mac(salt, ikm)


def expand(key, info, length):
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(key)


def u32(number):
    return number.to_bytes(4, "big")


def field(value):
    """One field as it stands in `lp`: text as UTF-8, what is absent as nothing."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else bytes(value)


def lp(label, *fields):
    parts = [f"sidekey/1 {label}".encode(), *map(field, fields)]
    return b"".join(u32(len(part)) + part for part in parts)


def derive(key, label, *fields):
    return expand(key, lp(label, *fields), 32)


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text, length=None):
    """Base64url without padding, spare bits zero; anything else is a ValueError."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(octets) != text:
        raise ValueError("spare bits that are not zero")
    if length is not None and len(octets) != length:
        raise ValueError(f"{len(octets)} octets, not {length}")
    return octets


def parse_json(octets):
    """One JSON value. A ValueError when it is none; its kind Repeated when a member stands twice."""

    def members(pairs):
        if len({name for name, _ in pairs}) != len(pairs):
            raise Repeated("a member stands twice")
        return dict(pairs)

    def constant(name):
        raise ValueError(f"{name} is no JSON")

    text = octets.decode("utf-8") if isinstance(octets, bytes) else octets
    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=constant)
        json.dumps(value, ensure_ascii=False).encode()  # an escape may stand for half a character
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def compact(value):
    """JSON without white space, its members in the order in which they are given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# What a member may be. Each takes the value and says whether it is one.

def is_text(value):
    return isinstance(value, str)


def is_u32(value):
    return type(value) is int and 0 <= value <= U32_MAX


def is_u64(value):
    return type(value) is int and 0 <= value < 2**64


def is_flag(value):
    return type(value) is bool


def is_id(value):
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) is not None


def is_name(value):
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= 255:
        return False
    return value == value.strip() and not has_control(value)


def is_texts(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_b64(length):
    def check(value):
        try:
            unb64(value, length)
        except ValueError:
            return False
        return True

    return check


def has_control(text):
    return any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in text)


def is_token(name):
    """1 to 64 visible ASCII characters."""
    return isinstance(name, str) and re.fullmatch(r"[!-~]{1,64}", name) is not None


def members(value, shape, optional=()):
    """Whether `value` is an object of exactly these members, each of its kind; those in `optional` may be absent."""
    if not isinstance(value, dict) or not set(value) <= set(shape):
        return False
    present = all(name in value or name in optional for name in shape)
    return present and all(shape[name](item) for name, item in value.items())
