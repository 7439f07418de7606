# The lines of `bigmc predict --json` as scenes.cpp writes the same values. There must be faces to compare.
import json, struct, sys


def f32(x):
    return struct.unpack('f', struct.pack('f', x))[0]


found = 0
for line in open(sys.argv[1]):
    faces = json.loads(line)["faces"]
    found += len(faces)
    print(len(faces))
    for f in faces:
        print("%.9g %.9g %.9g %.9g %.9g %s %s %s" % (*map(f32, f["where"]), f32(f["score"]), f["hair"], f["eyes"], f["nose"]))
assert found > 0
