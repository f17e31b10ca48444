"""What travels on other bearers, written from proto/delivery/spec.md: messages of SMS, documents of XDMS, signed webhooks.

    python delivery.py --check proto/delivery/vectors.json     recomputes the file and compares
    python delivery.py --write proto/delivery/vectors.json     makes it; a published vector never changes

The document is checked against keys.xsd by the tests of the carriers.
"""

import base64
import hashlib
import hmac
import json

from pairing import expand, sha256
from vectors import command


def fixed(name, size):
    """Stands for what was sealed: the same in every run."""
    return expand(sha256(b"sidekey test vector: delivery"), name.encode(), size)


def element(kind, data):
    return bytes([kind, len(data)]) + data


def header(*elements):
    data = b"".join(elements)
    return bytes([len(data)]) + data if data else b""


def parts(elements, data, whole, room, reference):
    """One message where `whole` holds it, else parts of `room`, each with the concatenation element."""
    if len(data) <= whole:
        return [header(*elements) + data]
    cut = [data[at : at + room] for at in range(0, len(data), room)]
    count = len(cut)
    return [header(*elements, element(0, bytes([reference, count, number]))) + part for number, part in enumerate(cut, 1)]


def octets(name, size, to, source, reference):
    data = fixed(name, size)
    ports = element(5, to.to_bytes(2, "big") + source.to_bytes(2, "big"))
    messages = parts([ports], data, 133, 128, reference)
    return {"name": name, "to": to, "from": source, "reference": reference, "data": data, "messages": messages}


def text(name, url, invitation, reference):
    words = f"Pair your mail app: {url}/p/{invitation.hex()} - then enter the code that you were given."
    messages = parts([], words.encode("ascii"), 160, 153, reference)
    return {"name": name, "url": url, "invitation": invitation, "reference": reference, "text": words, "messages": messages}


def jwe(name):
    """The form of one: five parts."""
    part = lambda n: base64.urlsafe_b64encode(fixed(f"{name} {n}", 24)).decode().rstrip("=")
    return ".".join(part(n) for n in range(5))


def document(name, entries):
    lines = "".join(
        f'<envelope session="{entry["session"].hex()}" generation="{entry["generation"]}">{entry["envelope"]}</envelope>\n' for entry in entries
    )
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<keys xmlns="urn:sidekey:params:xml:ns:keys">\n{lines}</keys>\n'
    return {"name": name, "entries": entries, "xml": xml}


def webhook(kind, to, payload):
    secret, identifier, timestamp = fixed("webhook", 32), "msg_" + jwe("id")[:24], 1795000000
    body = json.dumps({"kind": kind, "payload": payload, "to": to}, separators=(",", ":"), ensure_ascii=False)
    mac = hmac.new(secret, f"{identifier}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(mac).decode()
    return {"secret": secret, "id": identifier, "timestamp": timestamp, "body": body, "signature": signature}


def vectors():
    entry = lambda n: {"session": fixed(f"session {n}", 16), "generation": n, "envelope": jwe(f"envelope {n}")}
    invited = text("one message", "https://keys.example.com", fixed("invitation", 16), 7)
    documents = [document("none", []), document("one", [entry(0)]), document("two", [entry(1), entry(2)])]
    envelope = octets("an envelope", 127, 16127, 16127, 7)
    sealed = base64.urlsafe_b64encode(envelope["data"]).decode().rstrip("=")
    return {
        "sms_octets": [
            envelope,
            octets("other ports", 127, 2948, 9200, 7),
            octets("the most of one message", 133, 16127, 16127, 7),
            octets("the least of two", 134, 16127, 16127, 255),
            octets("the most of all", 1024, 16127, 16127, 0),
        ],
        "sms_text": [
            invited,
            text("several messages", "https://keys." + "a" * 63 + "." + "b" * 63 + ".example.com:8443", fixed("invitation", 16), 9),
        ],
        "documents": documents,
        "webhooks": [
            webhook("envelope", "+491700000000", sealed),
            webhook("invitation", "+491700000000", invited["text"]),
            webhook("document", "sip:ann@example.com", documents[2]["xml"]),
        ],
    }


if __name__ == "__main__":
    command(vectors, __doc__)
