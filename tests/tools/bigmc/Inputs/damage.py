# Damages every file of a cache in one of three ways, and keeps a copy of what that left.
import os, shutil, sys

folder = sys.argv[1]
names = sorted(name for name in os.listdir(folder) if name.startswith("llvmcache-") and "timestamp" not in name)
assert len(names) > 3
for i, name in enumerate(names):
    path = os.path.join(folder, name)
    data = bytearray(open(path, "rb").read())
    if i % 3 == 0:
        data[len(data) // 2] ^= 1
    elif i % 3 == 1:
        data = data[:i % 40]
    else:
        data = bytearray(open(os.path.join(folder, names[(i + 3) % len(names)]), "rb").read())
    os.remove(path)
    open(path, "wb").write(data)
shutil.copytree(folder, folder + ".damaged")
