"""Runs a command and checks its exit code: exits.py CODE COMMAND..."""
import subprocess
import sys

code = subprocess.run(sys.argv[2:]).returncode
if code != int(sys.argv[1]):
    print(f"exit code {code}, and {sys.argv[1]} was expected: {' '.join(sys.argv[2:])}", file=sys.stderr)
    sys.exit(1)
