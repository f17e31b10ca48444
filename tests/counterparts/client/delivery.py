"""What carriers bring, as a receiver reads it, and how it is written: proto/delivery/spec.md, sections 3, 5 and 6."""

import base64
import hashlib
import hmac
import re
import xml.parsers.expat

from .notation import refuse_unless

NAMESPACE = "urn:sidekey:params:xml:ns:keys"
WHOLE, PART, PARTS = 133, 128, 8


def ports(to, origin):
    return bytes([5, 4]) + to.to_bytes(2, "big") + origin.to_bytes(2, "big")


def sms_octets(data, to, origin, reference):
    """The messages that a sealed form travels in."""
    if len(data) <= WHOLE:
        return [b"\x06" + ports(to, origin) + data]
    parts = [data[start : start + PART] for start in range(0, len(data), PART)]
    refuse_unless(len(parts) <= PARTS, "too_long")
    return [
        b"\x0b" + ports(to, origin) + bytes([0, 3, reference, len(parts), index]) + part
        for index, part in enumerate(parts, 1)
    ]


def read_sms(message, port):
    """The octets behind the header of a single message on our port; None where it is another's."""
    header = message[1 : 1 + message[0]]
    return message[1 + message[0] :] if header[:4] == b"\x05\x04" + port.to_bytes(2, "big") else None


def sms_invitation(url, invitation, reference):
    """(text, messages) of an invitation that is sent."""
    refuse_unless(not set("[]_~") & set(url), "url_malformed")
    text = f"Pair your mail app: {url}/p/{invitation} - then enter the code that you were given."
    octets = text.encode("ascii")
    if len(octets) <= 160:
        return text, [octets]
    parts = [octets[start : start + 153] for start in range(0, len(octets), 153)]
    return text, [
        bytes([5, 0, 3, reference, len(parts), index]) + part for index, part in enumerate(parts, 1)
    ]


def write_document(entries):
    """The document of an XDMS, of (session, generation, envelope)."""
    lines = [
        f'<envelope session="{session}" generation="{generation}">{envelope}</envelope>\n'
        for session, generation, envelope in entries
    ]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<keys xmlns="{NAMESPACE}">\n{"".join(lines)}</keys>\n'


def read_document(octets):
    """The envelopes of a document, their attributes unread since nobody believes them."""
    refuse_unless(len(octets) <= 1 << 20, "document_malformed")
    envelopes, path = [], []

    def start(name, _):
        path.append(name)
        at = path == [f"{NAMESPACE} keys"] or path == [f"{NAMESPACE} keys", f"{NAMESPACE} envelope"]
        refuse_unless(at, "document_malformed")
        if len(path) == 2:
            envelopes.append("")

    def text(data):
        if len(path) == 2:
            envelopes[-1] += data
        else:
            refuse_unless(not data.strip(" \t\r\n"), "document_malformed")

    def refuse(*_):
        refuse_unless(False, "document_malformed")

    parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, lambda _: path.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = parser.StartCdataSectionHandler = refuse
    try:
        parser.Parse(octets, True)
    except xml.parsers.expat.ExpatError:
        refuse()
    refuse_unless(len(envelopes) <= 64, "document_malformed")
    jwe = r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+){4}"
    refuse_unless(all(re.fullmatch(jwe, one) for one in envelopes), "document_malformed")
    return envelopes


def webhook_signature(secret, identity, timestamp, body):
    digest = hmac.digest(secret, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
