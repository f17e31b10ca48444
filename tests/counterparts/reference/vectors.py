"""What every reference here does with its vectors: writes them, or says whether a file holds exactly them."""

import json
import sys


def plain(value):
    """Octets as hex, wherever they stand."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def command(vectors, usage):
    """The command line: --write FILE, or --check FILE."""
    match sys.argv[1:]:
        case [("--write" | "--check") as verb, path]:
            text = json.dumps(plain(vectors()), indent=1, ensure_ascii=False) + "\n"
        case _:
            sys.exit(usage)
    if verb == "--write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    with open(path, encoding="utf-8") as file:
        if file.read() != text:
            sys.exit(f"{path} is not what {sys.argv[0]} makes")
    print(f"{path}: every value agrees")
