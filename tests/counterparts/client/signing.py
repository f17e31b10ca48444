"""ES256 with signatures of 64 octets, public keys as SubjectPublicKeyInfo, and compact JWS."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from .notation import Repeated, Refused, b64, compact, is_text, members, parse_json, refuse_unless, sha256, unb64

HASH = ec.ECDSA(hashes.SHA256())


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_of_scalar(octets):
    return ec.derive_private_key(int.from_bytes(octets, "big"), ec.SECP256R1())


def load_private(der):
    return serialization.load_der_private_key(der, None)


def private_der(key):
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def spki(key):
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_spki(der):
    """A P-256 key in the one encoding that it has; a ValueError for anything else."""
    if len(der) != 91:
        raise ValueError("not 91 octets")
    key = serialization.load_der_public_key(der)
    if not isinstance(key, ec.EllipticCurvePublicKey) or spki(key) != der:
        raise ValueError("not a P-256 key in its one encoding")
    return key


def pin(der):
    return b64(sha256(der)[:16])


def sign(key, message):
    r, s = utils.decode_dss_signature(key.sign(message, HASH))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verifies(der, signature, message):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        load_spki(der).verify(utils.encode_dss_signature(r, s), message, HASH)
    except InvalidSignature:
        return False
    return len(signature) == 64


@dataclass
class Jws:
    """A JWS whose header has been read, and nothing verified yet."""

    header: dict
    payload: bytes | None
    signature: bytes | None
    signed: bytes

    def need_signature(self):
        refuse_unless(self.signature is not None, "signature_malformed")

    def verify(self, der):
        self.need_signature()
        refuse_unless(verifies(der, self.signature, self.signed), "signature_wrong")


def read_header(part, shape):
    """The header of a JWS or JWE, exactly these members."""
    try:
        header = parse_json(unb64(part))
    except Repeated:
        raise Refused("header_members", "one stands twice") from None
    except ValueError:
        raise Refused("header_malformed") from None
    refuse_unless(members(header, dict.fromkeys(shape, is_text)), "header_members")
    return header


def octets_of(part, length=None):
    try:
        return unb64(part, length)
    except ValueError:
        return None


def read_jws(text, typ, largest):
    refuse_unless(len(text.encode()) <= largest, "too_long")
    parts = text.split(".")
    refuse_unless(len(parts) == 3, "not_three_parts")
    header = read_header(parts[0], ("alg", "kid", "typ"))
    refuse_unless(header["alg"] == "ES256", "algorithm_foreign")
    refuse_unless(header["typ"] == typ, "type_foreign")
    signed = f"{parts[0]}.{parts[1]}".encode()
    return Jws(header, octets_of(parts[1]), octets_of(parts[2], 64), signed)


def write_jws(key, kid, typ, payload):
    header = b64(compact({"alg": "ES256", "kid": kid, "typ": typ}))
    signed = f"{header}.{b64(compact(payload))}"
    return f"{signed}.{b64(sign(key, signed.encode()))}"


def payload_object(jws, reason):
    """The payload's JSON value; `reason` when there is none."""
    try:
        return parse_json(jws.payload if jws.payload is not None else b"")
    except ValueError:
        raise Refused(reason) from None
