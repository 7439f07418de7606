"""Prints the closing line of a test run from lit's JSON: `N passed, N failed, N skipped`. Exits 1 when any failed."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    codes = [test["code"] for test in json.load(f)["tests"]]
passed = sum(code in ("PASS", "XFAIL", "FLAKYPASS") for code in codes)
skipped = sum(code in ("UNSUPPORTED", "SKIPPED", "EXCLUDED") for code in codes)
failed = len(codes) - passed - skipped
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or not passed else 0)
