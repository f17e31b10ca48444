#!/usr/bin/env python3
"""SECURITY.md's promises: prints each, runs the tests that defend it, and says how to run them again.

usage: review.py          run them
       review.py --check  only see that every row names tests, and that each of them is there
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NEXTEST = ["cargo", "nextest"]


def promises():
    """(section, promise, [tests]) of each row."""
    section = None
    for line in (ROOT / "SECURITY.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 2 and cells[0] not in ("promise", "---"):
            yield section, cells[0], re.findall(r"`(\w+)`", cells[1])


def known():
    """Every test there is, by the last part of its name."""
    listed = subprocess.run([*NEXTEST, "list", "--workspace", "--locked", "--message-format", "oneline"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].rsplit("::", 1)[-1] for line in listed.splitlines() if line.strip()}


def pattern(tests):
    return "|".join(f"(^|::){test}$" for test in tests)


def run(tests):
    """How each of these ended: its test's name, and PASS or FAIL."""
    ran = subprocess.run([*NEXTEST, "run", "--workspace", "--locked", "--no-fail-fast", "--status-level", "pass",
                          "--final-status-level", "none", "-E", f"test(/{pattern(tests)}/)"],
                         cwd=ROOT, capture_output=True, text=True)
    ends = {}
    for line in ran.stderr.splitlines():
        found = re.match(r"\s+(PASS|FAIL|TIMEOUT|SIG\w+) \[.*\S\s(\S+)$", line)
        if found:
            ends.setdefault(found[2].rsplit("::", 1)[-1], set()).add(found[1])
    return ends


def main():
    rows = list(promises())
    there = known()
    wrong = [f"{promise} names no test" for _, promise, tests in rows if not tests]
    wrong += [f"{test} is no test" for _, _, tests in rows for test in tests if test not in there]
    if wrong or not rows:
        sys.exit("SECURITY.md: " + "; ".join(wrong or ["no promises"]))
    if "--check" in sys.argv[1:]:
        print(f"{len(rows)} promises, each with its tests")
        return
    ends = run(sorted({test for _, _, tests in rows for test in tests}))
    broken, section = 0, None
    for heading, promise, tests in rows:
        if heading != section:
            section = heading
            print(f"\n{section}")
        print(f"\n  {promise}")
        for test in tests:
            held = ends.get(test) == {"PASS"}
            broken += not held
            print(f"    {'✓' if held else '✗'} {test}")
        print(f"    again: cargo nextest run --workspace -E 'test(/{pattern(tests)}/)'")
    tests = sum(len(row[2]) for row in rows)
    print(f"\n{len(rows)} promises, {tests} tests named, {broken} did not pass.")
    sys.exit(1 if broken else 0)


main()
