#!/usr/bin/env python3
"""Counts the results of one run of the tests.

usage: tests/tools/summarise.py [--data-given] [--checks FILE]... [--junit NAME=FILE]...

Reads lines `PASS name`, `FAIL name`, `SKIP name: reason` (--checks) and CTest's JUnit files (--junit). Prints each failed test and
each skipped one with its reason, then one line `N passed, N failed, N skipped`. Exits 1 when a test failed or none ran; with
--data-given also when a test was skipped for want of HYPERX_TEST_DATA.
"""
import argparse
import re
import sys
import xml.etree.ElementTree as ElementTree


def from_checks(path):
    for line in open(path, encoding="utf-8"):
        found = re.match(r"(PASS|FAIL|SKIP) ([^:\n]+)(?:: (.*))?", line)
        if found:
            yield found[2], {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}[found[1]], found[3] or ""


def skip_reason(output):
    """The text of GTEST_SKIP, or the last line of a script that ended with the skip code."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if re.search(r": Skipped$", line) and number + 1 < len(lines):
            return lines[number + 1]
    for line in lines:
        if re.match(r"SKIP(PED)?\b[:\s]", line):
            return re.sub(r"^SKIP(PED)?[:\s]+", "", line)
    return lines[-1] if lines else ""


def from_junit(name, path):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        label = f"{name}/{case.get('name')}"
        output = case.findtext("system-out") or ""
        if case.get("status") in ("fail", "error") or case.find("failure") is not None or case.find("error") is not None:
            yield label, "failed", ""
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            yield label, "skipped", skip_reason(output)
        else:
            yield label, "passed", ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-given", action="store_true")
    parser.add_argument("--checks", action="append", default=[])
    parser.add_argument("--junit", action="append", default=[])
    arguments = parser.parse_args()
    results = []
    for path in arguments.checks:
        results += from_checks(path)
    for item in arguments.junit:
        results += from_junit(*item.split("=", 1))
    count = {kind: sum(1 for result in results if result[1] == kind) for kind in ("passed", "failed", "skipped")}
    wrongly_skipped = 0
    for name, kind, reason in sorted(results):
        if kind == "skipped":
            print(f"SKIPPED {name}: {reason or 'NO REASON GIVEN'}")
            if not reason or (arguments.data_given and "HYPERX_TEST_DATA" in reason):
                print("  ... a skip without a reason, or for want of data that were given, counts as a failure")
                wrongly_skipped += 1
    for name, kind, _ in sorted(results):
        if kind == "failed":
            print(f"FAILED  {name}")
    print(f"{count['passed']} passed, {count['failed'] + wrongly_skipped} failed, {count['skipped'] - wrongly_skipped} skipped")
    return 1 if count["failed"] or wrongly_skipped or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
