"""P-256 in plain integers, as much of it as SPAKE2+ and the rekey need.

Not constant in time: a counterpart for tests and a reading of the specification, not for a device.
"""

from .notation import Refused

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
IDENTITY = None


def on_curve(point):
    x, y = point
    return (y * y - (x * x * x - 3 * x + B)) % P == 0


def add(a, b):
    if a is IDENTITY:
        return b
    if b is IDENTITY:
        return a
    (ax, ay), (bx, by) = a, b
    if ax == bx:
        if (ay + by) % P == 0:
            return IDENTITY
        slope = (3 * ax * ax - 3) * pow(2 * ay, -1, P) % P
    else:
        slope = (by - ay) * pow(bx - ax, -1, P) % P
    x = (slope * slope - ax - bx) % P
    return x, (slope * (ax - x) - ay) % P


def negate(point):
    return IDENTITY if point is IDENTITY else (point[0], -point[1] % P)


def multiply(scalar, point):
    result = IDENTITY
    for bit in bin(scalar % ORDER)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def encode(point):
    """Uncompressed, 65 octets."""
    x, y = point
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def decode(octets, reason="BadShare"):
    """A peer's point, with every check of proto/pairing/spec.md, section 4."""
    if len(octets) != 65 or octets[0] != 4:
        raise Refused(reason, "not an uncompressed point")
    point = int.from_bytes(octets[1:33], "big"), int.from_bytes(octets[33:], "big")
    if max(point) >= P or not on_curve(point):
        raise Refused(reason, "not on the curve")
    return point


def decompress(octets):
    """A constant of RFC 9383, which prints its points compressed."""
    x = int.from_bytes(octets[1:], "big")
    y = pow((x * x * x - 3 * x + B) % P, (P + 1) // 4, P)
    point = x, y if y % 2 == octets[0] % 2 else P - y
    if not on_curve(point):
        raise ValueError("not a point of the curve")
    return point
