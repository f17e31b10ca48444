"""Frames: object keys, sealing and opening. proto/object/spec.md, sections 1, 2, 4 and 5."""

import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from .notation import SUITES, Refused, derive, extract, refuse_unless, u32
from .place import BODY, HEADER_LIKE, PARTIAL

HEADER, START, TAG = 42, 138, 16
RECORD_SIZE = 16
LARGEST = 2**32
SHORTEST = {HEADER_LIKE: 1024, BODY: 4096}
KINDS = ["NIL", "quoted", "literal", "literal8", "list"]
AEADS = {1: AESGCM, 2: ChaCha20Poly1305}


@dataclass
class Keys:
    """The two object keys of a session's generation."""

    suite: int
    session: bytes
    generation: int
    s2c: bytes
    c2s: bytes


def object_keys(session_key, suite, policy, capabilities, offer, session, generation):
    """`policy`, `capabilities` and `offer` are hashes, `suite` a name."""
    octet = SUITES[suite]
    fields = bytes([octet]), policy, capabilities, offer, session, u32(generation)
    s2c, c2s = (derive(session_key, label, *fields) for label in ("object s2c", "object c2s"))
    return Keys(octet, session, generation, s2c, c2s)


def padme(length):
    exponent = length.bit_length() - 1
    unit = 1 << (exponent - exponent.bit_length())
    return (length + unit - 1) // unit * unit


def padded_length(type_, n, count=None):
    return 9 + count if type_ == PARTIAL else max(padme(8 + n), SHORTEST[type_])


def with_tags(padded, log2):
    return padded + TAG * -(-padded // (1 << log2))


def frame_length(type_, value_octets, count, log2):
    return START + with_tags(padded_length(type_, 1 + value_octets, count), log2)


def content_key(key, header, context):
    return derive(extract(header[26:42], key), "frame", header, context)


def nonce(index, final):
    return index.to_bytes(11, "big") + bytes([final])


def seal(keys, key, place, kind, value, *, log2=RECORD_SIZE, salt=None):
    """A frame of a value under one of the two keys."""
    n = 1 + len(value)
    refuse_unless(n <= LARGEST, "length_excessive")
    refuse_unless(kind != "NIL" or not value, "nil_with_value")
    refuse_unless(place.count is None or n <= 1 + place.count, "count_exceeded")
    plaintext = n.to_bytes(8, "big") + bytes([KINDS.index(kind)]) + value
    plaintext += bytes(padded_length(place.type, n, place.count) - len(plaintext))
    header = b"XE" + bytes([1, place.type, keys.suite, log2]) + keys.session + u32(keys.generation)
    header += salt or secrets.token_bytes(16)
    context = place.context()
    aead, size = AEADS[keys.suite](content_key(key, header, context)), 1 << log2
    starts = range(0, len(plaintext), size)
    records = [
        aead.encrypt(nonce(index, start + size >= len(plaintext)), plaintext[start : start + size], b"")
        for index, start in enumerate(starts)
    ]
    return header + context + b"".join(records)


def check_header(frame, keys, place):
    refuse_unless(len(frame) >= START, "truncated")
    refuse_unless(frame[:2] == b"XE", "not_a_frame")
    refuse_unless(frame[2] == 1, "version_unknown")
    refuse_unless(frame[3] in (HEADER_LIKE, BODY, PARTIAL), "type_unknown")
    refuse_unless(frame[4] in AEADS, "suite_unknown")
    refuse_unless(12 <= frame[5] <= 20, "record_size_out_of_bounds")
    refuse_unless(frame[6:22] == keys.session, "other_session")
    refuse_unless(frame[22:26] == u32(keys.generation), "other_generation")
    refuse_unless(frame[4] == keys.suite, "other_suite")
    refuse_unless(frame[3] == place.type, "other_type")


CONTEXT = [
    (0, 1, "other_kind"), (1, 2, "other_flags"), (2, 4, "context_reserved"), (4, 8, "other_uid_validity"),
    (8, 40, "other_mailbox"), (40, 48, "other_subject"), (48, 56, "other_position"), (56, 88, "other_item"),
    (88, 96, "other_extent"),
]  # fmt: skip


def check_context(context, place):
    asked = place.context()
    for start, end, reason in CONTEXT:
        refuse_unless(context[start:end] == asked[start:end], reason)


def check_length(octets, expected):
    refuse_unless(octets <= expected, "overlong")
    refuse_unless(octets >= expected, "truncated")


def open_record(aead, records, index, size):
    step = size + TAG
    record, final = records[index * step : (index + 1) * step], (index + 1) * step >= len(records)
    try:
        return aead.decrypt(nonce(index, final), record, b"")
    except InvalidTag:
        raise Refused("record_unverified" if index else "first_record_unverified") from None


def open_frame(keys, key, place, frame):
    """(kind, value) of a frame that is what was asked, whole; everything else is refused as soon as it is known."""
    check_header(frame, keys, place)
    header, context, records = frame[:HEADER], frame[HEADER:START], frame[START:]
    check_context(context, place)
    log2 = header[5]
    if place.type == PARTIAL:
        check_length(len(records), with_tags(9 + place.count, log2))
    else:
        refuse_unless(len(records) >= with_tags(SHORTEST[place.type], log2), "truncated")
    aead, size = AEADS[keys.suite](content_key(key, header, context)), 1 << log2
    plaintext = bytearray(open_record(aead, records, 0, size))
    n, kind = int.from_bytes(plaintext[:8], "big"), plaintext[8]
    refuse_unless(n > 0, "length_zero")
    refuse_unless(n <= LARGEST, "length_excessive")
    refuse_unless(place.count is None or n <= 1 + place.count, "count_exceeded")
    check_length(len(records), with_tags(padded_length(place.type, n, place.count), log2))
    refuse_unless(kind < len(KINDS), "kind_unknown")
    refuse_unless(kind or n == 1, "nil_with_value")
    for index in range(1, -(-len(records) // (size + TAG))):
        plaintext += open_record(aead, records, index, size)
    refuse_unless(not any(plaintext[8 + n :]), "padding_altered")
    return KINDS[kind], bytes(plaintext[9 : 8 + n])
