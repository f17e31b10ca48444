"""Proxy credentials: how one is typed, and what the service keeps of it (pairing/spec.md, section 12)."""

import re

from .notation import lp, mac, refuse_unless


def read_secret(typed):
    """The twenty symbols of a secret as somebody typed it, or a program sent it."""
    refuse_unless(typed.isascii(), "malformed")
    symbols = re.sub("[- ]", "", typed.decode("ascii")).upper().translate(str.maketrans("ILO", "110"))
    refuse_unless(re.fullmatch("[0-9A-HJKMNP-TV-Z]{20}", symbols), "malformed")
    return symbols


def kept(key, server, user, symbols):
    return mac(key, lp("credential", server, user, symbols))
