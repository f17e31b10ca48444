"""Places: what a frame is bound to, and how it is written. proto/object/spec.md, section 3."""

import re
from dataclasses import dataclass
from datetime import datetime

from .notation import lp, refuse_unless, sha256

HEADER_LIKE, BODY, PARTIAL = 1, 2, 3
WHOLE = 2**64 - 1
UNIT, LONGEST = 16384, 1 << 20
SEARCH_KEYS = {"BCC", "BODY", "CC", "FROM", "HEADER", "SUBJECT", "TEXT", "TO"}
SIMPLE = {"ENVELOPE", "BODYSTRUCTURE", "BODY", "PREVIEW", "PREVIEW (LAZY)", "SNIPPET", "THREADID"}
RENAMED = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}
PART = r"[1-9][0-9]*(?:\.[1-9][0-9]*)*"
# Names of RFC 5322 (ftext) as IMAP writes them: what needs no quotes, and what stands between them.
BARE = r"[!#$&'+\-./0-9;<=>?@A-Z\[\]^_`a-z|}~]+"
QUOTED = r'"(?:[!#-9;-\[\]-~]|\\["\\])+"'


def mailbox(name, separator):
    """The canonical name."""
    octets = name.encode()
    refuse_unless(1 <= len(octets) <= 4096 and not set("\0\r\n") & set(name), "mailbox_malformed")
    levels = name.split(separator) if separator else [name]
    if re.fullmatch("inbox", levels[0], re.IGNORECASE | re.ASCII):
        levels[0] = "INBOX"
    return "\0".join(levels)


def part_fits(part):
    return all(int(number) < 2**32 for number in part.split("."))


def header_fields(text):
    """The names of HEADER.FIELDS, canonically: each once, sorted, unquoted, in upper case."""
    names = re.findall(f"{QUOTED}|{BARE}", text)
    plain = [re.sub(r"\\(.)", r"\1", name[1:-1]) if name[0] == '"' else name for name in names]
    return " ".join(sorted({name.upper() for name in plain}))


def section(text):
    """A section of BODY, canonically, and the type of its value."""
    if text == "":
        return "", BODY
    found = re.fullmatch(rf"({PART})(?:\.(.+))?", text)
    if found:
        refuse_unless(part_fits(found[1]), "item_malformed")
    part, rest = (found[1], found[2]) if found else (None, text)
    prefix = f"{part}." if part else ""
    if rest is None:
        return part, BODY
    word = rest.upper()
    if word == "TEXT":
        return prefix + word, BODY
    if word == "HEADER" or (word == "MIME" and part):
        return prefix + word, HEADER_LIKE
    fields = re.fullmatch(
        rf"(HEADER\.FIELDS(?:\.NOT)?) +\( *((?:{QUOTED}|{BARE})(?: +(?:{QUOTED}|{BARE}))*) *\)", rest, re.IGNORECASE
    )
    refuse_unless(fields, "item_malformed")
    return f"{prefix}{fields[1].upper()} ({header_fields(fields[2])})", HEADER_LIKE


def item(text):
    """(canonical item, type, whether it may have a partial)."""
    refuse_unless(text.isascii() and len(text) <= 8192, "item_malformed")
    name = RENAMED.get(text.upper(), text)
    if name.upper() in SIMPLE:
        return name.upper(), HEADER_LIKE, False
    found = re.fullmatch(r"(BODY|BINARY)(?:\.PEEK)?\[(.*)\]", name, re.IGNORECASE)
    refuse_unless(found, "item_malformed")
    kind = found[1].upper()
    if kind == "BINARY":
        sound = found[2] == "" or (re.fullmatch(PART, found[2]) and part_fits(found[2]))
        refuse_unless(sound, "item_malformed")
        return f"BINARY[{found[2]}]", BODY, True
    canonical, type_ = section(found[2])
    return f"BODY[{canonical}]", type_, True


def check_partial(origin, count, has_partial=True):
    refuse_unless(has_partial, "partial_misplaced")
    refuse_unless(count <= LONGEST, "partial_too_long")
    refuse_unless(count >= UNIT and count % UNIT == 0 and origin % UNIT == 0, "partial_unaligned")


def sender(pairing):
    return int.from_bytes(sha256(bytes.fromhex(pairing))[:8], "big")


def seconds(date):
    """An IMAP date-time in seconds since 1970, UTC."""
    return int(datetime.strptime(date.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp())


@dataclass
class Place:
    """The 96 octets of a context, and the type and count that follow from what was asked."""

    kind: int
    uid_validity: int
    mailbox: bytes
    subject: int
    position: int
    descriptor: bytes
    extent: int
    type: int

    def context(self):
        numbers = [(self.uid_validity, 4), (self.subject, 8), (self.position, 8), (self.extent, 8)]
        validity, subject, position, extent = (number.to_bytes(size, "big") for number, size in numbers)
        head = bytes([self.kind, 0, 0, 0])
        return head + validity + self.mailbox + subject + position + self.descriptor + extent

    @property
    def count(self):
        return self.extent if self.type == PARTIAL else None


def fetch(name, separator, uid_validity, uid, asked, partial=None):
    canonical, type_, has_partial = item(asked)
    origin, extent = 0, WHOLE
    if partial:
        origin, extent = partial
        check_partial(origin, extent, has_partial)
        type_ = PARTIAL
    return Place(
        1, uid_validity, hashed(name, separator), uid, origin, sha256(canonical.encode()), extent, type_
    )


def append(name, separator, pairing, number, flags, date):
    """`date` in seconds; None without one."""
    descriptor = sha256(lp("APPEND", *sorted({flag.upper() for flag in flags})))
    extent = WHOLE if date is None else date
    return Place(2, 0, hashed(name, separator), sender(pairing), number, descriptor, extent, BODY)


def search(name, separator, uid_validity, pairing, number, key, field=None):
    key = key.upper()
    refuse_unless(key in SEARCH_KEYS and bool(field) == (key == "HEADER"), "search_malformed")
    descriptor = sha256(lp("SEARCH", key, field.upper() if field else None))
    return Place(3, uid_validity, hashed(name, separator), sender(pairing), number, descriptor, WHOLE, HEADER_LIKE)


def hashed(name, separator):
    return sha256(mailbox(name, separator).encode())
