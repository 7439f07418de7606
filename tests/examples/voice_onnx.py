"""Writes what ONNX Runtime gives for silero-vad's ONNX file, frame by frame: voice_onnx.py FOLDER > voice_onnx.csv. Needs
numpy and onnxruntime; voice.test reads its result alone."""
import sys
import wave
import numpy
import onnxruntime

folder = sys.argv[1]
session = onnxruntime.InferenceSession(f"{folder}/silero_vad_16k_op15.onnx")
with wave.open(f"{folder}/test.wav") as sound:
    samples = numpy.frombuffer(sound.readframes(sound.getnframes()), numpy.int16).astype(numpy.float32) / 32768
state, before = numpy.zeros((2, 1, 128), numpy.float32), numpy.zeros(64, numpy.float32)
print("speech_prob")
for frame in samples[:len(samples) // 512 * 512].reshape(-1, 512):
    inputs = {"input": numpy.concatenate([before, frame])[None], "state": state, "sr": numpy.array(16000)}
    (probability,), state = session.run(None, inputs)
    before = frame[-64:]
    print(f"{probability[0]:.6f}")
