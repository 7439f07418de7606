"""voice.py SOUND [LIBRARY FUNCTION CSV]...: runs each on the sound and compares with the column `speech_prob`."""
import csv
import ctypes
import struct
import sys
import time
import wave
from library import Library

with wave.open(sys.argv[1]) as sound:
    assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
    raw = sound.readframes(sound.getnframes())
samples = [s / 32768 for s in struct.unpack(f"<{len(raw) // 2}h", raw)]
for library, function, probabilities in zip(sys.argv[2::3], sys.argv[3::3], sys.argv[4::3]):
    with open(probabilities) as file:
        expected = [float(row["speech_prob"]) for row in csv.DictReader(file)]
    frames = len(expected)
    values = (ctypes.c_float * (frames * 512))(*samples[:frames * 512])
    loaded = Library(library)
    loaded.run(function, {"N": 1, "T": frames}, {"frames": values})
    start = time.perf_counter()
    (found,) = loaded.run(function, {"N": 1, "T": frames}, {"frames": values}).values()
    seconds = time.perf_counter() - start
    off = max(abs(a - b) for a, b in zip(found, expected))
    agrees = len(found) == frames and off < 1e-3
    print(f"{function} {'agrees' if agrees else 'differs'} on {frames} frames: at most {off:.2g} apart, {seconds:.3f} s")
