"""Every vector of proto/, against this client. What a vector says is refused has to be refused, by that name."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..notation import Refused


@dataclass
class Tally:
    """How many cases held, and which did not."""

    folder: Path
    path: str = ""
    held: int = 0
    failed: list = field(default_factory=list)

    def read(self, path):
        return json.loads((self.folder / path).read_text())

    def same(self, name, got, wanted):
        if got == wanted:
            self.held += 1
        else:
            self.failed.append(f"{self.path}, {name}: {short(got)}, not {short(wanted)}")

    def outcome(self, name, action, wanted=None, reason=None):
        """`action` gives `wanted`, or is refused for `reason`."""
        try:
            got = action()
        except Refused as refused:
            self.same(name, f"refused: {refused.reason}", f"refused: {reason}" if reason else wanted)
        except Exception as error:  # a case that we cannot even try is one that fails
            self.failed.append(f"{self.path}, {name}: {type(error).__name__}: {error}")
        else:
            self.same(name, got, f"refused: {reason}" if reason else wanted)


def short(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"


def run(folder):
    """The tally of all vectors below `folder`; a file that no check reads fails, so that none is forgotten."""
    from . import delivery, exchange, objects, revocation, sessions

    tally = Tally(Path(folder))
    checks = {}
    for module in (exchange, sessions, objects, revocation, delivery):
        checks |= module.CHECKS
    found = {str(path.relative_to(tally.folder)) for path in tally.folder.glob("*/*.json")}
    tally.same("files of vectors", sorted(found), sorted(checks))
    for path in sorted(found & set(checks)):
        tally.path = path
        checks[path](tally, tally.read(path))
    return tally
