"""Checks that files are smaller than so many bytes: smaller.py BYTES FILE..."""
import os
import sys

large = [f"{path} has {os.path.getsize(path)} bytes" for path in sys.argv[2:] if os.path.getsize(path) >= int(sys.argv[1])]
print("\n".join(large))
sys.exit(1 if large else 0)
