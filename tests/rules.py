#!/usr/bin/env python3
"""proto/'s rules, each by its name: prints those that no vector and no test names, and fails if there are any.

A rule's name is its reason, in italics (*batch_size*), or its problem code, in proto/README.md.
It is defended where the vectors beside the specification have it, or where a test in Rust does, as `batch_size` or BatchSize.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# In italics where they are introduced, and no reason to refuse anything.
TERMS = {
    "": {"party"},
    "pairing": {"pairing code", "the overlap is over"},
    "session": {"italics", "of one", "of several", "session root"},
    "delivery": {"carrier", "delivery", "domain", "opening", "phone"},
    "object": {"encrypt", "record size counts plaintext"},
    "revocation": set(),
    "audit": set(),
}


def file_of(word):
    """A word's specification, or what goes for all of them."""
    return f"{word}/spec.md" if word else "README.md"


def reasons(word):
    text = (ROOT / "proto" / file_of(word)).read_text()
    return set(re.findall(r"(?<![*\w])\*([a-z][a-z_ ]+)\*(?!\*)", text)) - TERMS[word]


def codes():
    return set(re.findall(r"^\| \d{3} \| `(\w+)` \|", (ROOT / "proto" / "README.md").read_text(), re.MULTILINE))


def tests():
    """The text of every test in Rust."""
    texts = [path.read_text() for path in (ROOT / "tests").glob("[!.]*/**/*.rs")]
    for path in (ROOT / "src").glob("**/*.rs"):
        text = path.read_text()
        whole = {"tests", "over_tls"} & set(path.parts) or path.stem == "tests"
        texts.append(text if whole else text.partition("\n#[cfg(test)]\nmod ")[2])
    return "\n".join(texts)


def named(rule, texts):
    words = re.split("[ _]", rule)
    forms = "_".join(words), "".join(word.capitalize() for word in words)
    return any(re.search(rf"\b{form}\b", text) for text in texts for form in forms)


def main():
    written = tests()
    bare, count = [], 0
    for word in TERMS:
        vectors = [path.read_text() for path in (ROOT / "proto" / word).glob("*.json")]
        rules = reasons(word)
        count += len(rules)
        bare += [f"{file_of(word)}: {rule}" for rule in sorted(rules) if not named(rule, [*vectors, written])]
    count += len(codes())
    bare += [f"README.md: {code}" for code in sorted(codes()) if not named(code, [written])]
    if bare:
        sys.exit("proto/ has rules that no test names:\n  " + "\n  ".join(bare))
    print(f"{count} rules of proto/, each named by a vector or a test")


main()
