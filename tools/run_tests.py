#!/usr/bin/env python3
"""Runs the unit tests of a Meson build folder and, if asked, pytest; the last line is the sum.

    run_tests.py BUILD [--only NAME ...] [--pytest tests --command BUILD/cli/ringfeed]

A doctest program counts its test cases, any other test of the build counts as one; pytest finds the
build's test tools by $RINGFEED_BUILD. A program that crashes, hangs or ends otherwise than it said
counts as one failure more. A line that begins with FAILED names each failure. Exits 1 if anything
failed or nothing ran.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

# A doctest program's messages stand in blocks between lines of "=".
BLOCK = re.compile(r"^TEST CASE: +(.+)$(?:(?!^=====)[\s\S])*?^.*\bERROR:", re.MULTILINE)
CASES = re.compile(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")


def introspect(build, what):
    command = [sys.executable, "-m", "mesonbuild.mesonmain", "introspect", f"--{what}", build]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_program(test):
    """(passed, failed) of one test of the build."""
    print(f"--- {test['name']}", flush=True)
    environment = {**os.environ, **test["env"]}
    try:
        done = subprocess.run(
            test["cmd"],
            cwd=test["workdir"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=test["timeout"],
        )
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output, status = late.stdout or b"", f"no end within {test['timeout']} s"
    text = re.sub(r"\x1b\[[0-9;]*m", "", output.decode(errors="replace"))
    print(text, end="" if text.endswith("\n") else "\n", flush=True)
    for case in dict.fromkeys(BLOCK.findall(text)):
        print(f"FAILED {test['name']}: {case}", flush=True)
    found = CASES.findall(text)
    passed, failed = map(int, found[-1]) if found else (int(status == 0), 0)
    if status != 0 and failed == 0:
        print(f"FAILED {test['name']}: {status}", flush=True)
        failed = 1
    return passed, failed


def run_pytest(folder, command, build):
    environment = {**os.environ, "RINGFEED_BUILD": os.path.abspath(build)}
    if command:
        environment["RINGFEED_CLI"] = os.path.abspath(command)
    with tempfile.TemporaryDirectory() as scratch:
        report = os.path.join(scratch, "report.xml")
        status = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-rfEs",
                "--durations=25",
                folder,
                f"--junitxml={report}",
            ],
            env=environment,
        ).returncode
        if status == 5:  # no test collected
            return 0, 0
        passed = failed = 0
        if os.path.exists(report):
            for suite in ElementTree.parse(report).getroot().iter("testsuite"):
                count = {k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")}
                failed += count["failures"] + count["errors"]
                passed += count["tests"] - sum(count[k] for k in ("failures", "errors", "skipped"))
    return passed, failed or int(status != 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="tests of these names alone")
    parser.add_argument("--pytest", metavar="FOLDER")
    parser.add_argument("--command", help="the ringfeed that pytest tests ($RINGFEED_CLI)")
    args = parser.parse_args()

    tests = introspect(args.build, "tests")
    names = [test["name"] for test in tests]
    if unknown := sorted(set(args.only or ()) - set(names)):
        parser.error(f"{args.build} has no test {', '.join(unknown)}; it has {', '.join(names)}")

    passed = failed = 0
    for test in tests:
        if not args.only or test["name"] in args.only:
            more = run_program(test)
            passed, failed = passed + more[0], failed + more[1]
    if args.pytest:
        print("--- pytest", flush=True)
        more = run_pytest(args.pytest, args.command, args.build)
        passed, failed = passed + more[0], failed + more[1]
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
