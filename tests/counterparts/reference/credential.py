"""Proxy credentials, written from proto/pairing/spec.md section 12 alone: what is kept of one, and how it is typed.

    python credential.py --check proto/pairing/credential.json     recomputes the file and compares
    python credential.py --write proto/pairing/credential.json     makes it; a published vector never changes
"""

import hashlib
import hmac

from vectors import command

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def seeded(name, size=32):
    """Octets that everybody can make again: SHA-256 of a name."""
    return hashlib.sha256(b"sidekey vectors " + name.encode()).digest()[:size]


def lp(*fields):
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def digest(key, server, user, symbols):
    fields = [part.encode() for part in ("sidekey/1 credential", server, user, symbols)]
    return hmac.new(key, lp(*fields), hashlib.sha256).digest()


def symbols(name):
    return "".join(ALPHABET[octet % 32] for octet in seeded(name, 20))


def printed(text):
    return "-".join(text[i : i + 4] for i in range(0, 20, 4))


def read(typed):
    """The symbols that are meant; None where it is no secret."""
    confused = {"I": "1", "L": "1", "O": "0"}
    try:
        letters = [letter for letter in typed.decode("ascii").upper() if letter not in "- "]
    except UnicodeDecodeError:
        return None
    meant = "".join(confused.get(letter, letter) for letter in letters)
    return meant if len(meant) == 20 and all(letter in ALPHABET for letter in meant) else None


def digests():
    mail, ann, one = "mail.example.org", "ann@example.org", symbols("a proxy's secret")
    rows = [
        ("one", "K_cred", mail, ann, one),
        ("another secret", "K_cred", mail, ann, symbols("another secret")),
        ("another user", "K_cred", mail, "bob@example.org", one),
        ("another server", "K_cred", "mail.example.com", ann, one),
        ("another service", "another K_cred", mail, ann, one),
        ("an octet from one name to the other", "K_cred", "mail.example.orga", "nn@example.org", one),
        ("names in UTF-8", "K_cred", "почта.example.org", "жанна@example.org", one),
        ("the longest names", "K_cred", "m" * 255, "a" * 255, one),
        ("zeros", "K_cred", mail, ann, "0" * 20),
    ]
    made = []
    for name, key, server, user, text in rows:
        kept = digest(seeded(key), server, user, text)
        made.append({"name": name, "key": seeded(key), "server": server, "user": user, "secret": printed(text), "symbols": text, "digest": kept})
    assert len({row["digest"] for row in made}) == len(rows)
    return made


def typed():
    mixed = "A1B09ZTV10SYMB1SX0Q7"
    spellings = ["A1B0-9ZTV-10SY-MB1S-X0Q7", "a1b09ztv10symb1sx0q7", "aIbO-9ztv-LoSy-mBiS-xOq7", "--a1b0 9ztv  10sy mb1s-x0q7 ", "alb09ztvloSYMBlSXoQ7"]
    wrong = ["", "-", mixed[:19], mixed + "0", mixed[:19] + "U", mixed[:19] + "_", mixed[:19] + "\t", mixed[:19] + "\0", mixed + "\n", "A1B0_9ZTV10SYMB1SX0Q7", mixed[:19] + "é", mixed[:18] + "é"]
    cases = [text.encode() for text in spellings + wrong] + [mixed[:19].encode() + b"\xff", b"A" * 4096]
    rows = [{"octets": octets, "symbols": read(octets)} for octets in cases]
    assert [row["symbols"] for row in rows[: len(spellings)]] == [mixed] * len(spellings)
    assert not any(row["symbols"] for row in rows[len(spellings) :])
    return rows


NOTE = (
    "Proxy credentials, proto/pairing/spec.md section 12. 'digests': HMAC(key, lp(\"credential\", server, user, symbols)). 'typed': octets as they "
    "were typed, and the symbols that are meant; null where it is no secret. A published vector never changes."
)


def build():
    return {"note": NOTE, "digests": digests(), "typed": typed()}


if __name__ == "__main__":
    command(build, __doc__)
