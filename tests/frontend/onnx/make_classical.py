"""Makes inputs/forest.onnx, inputs/linear.onnx and safetensors files of what ONNX Runtime gives: scikit-learn's pipelines as skl2onnx
writes them. Needs numpy, onnxruntime, safetensors, scikit-learn and skl2onnx; run it in this folder, the tests read its results alone."""
import numpy
import onnxruntime
from safetensors.numpy import save_file
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

random = numpy.random.default_rng(9)
x = random.normal(1, 3, (120, 4)).astype(numpy.float32)
y = (x[:, 0] + x[:, 1] ** 2 > 6).astype(int) + (x[:, 2] > 1)
for name, model in (("forest", RandomForestClassifier(4, max_depth=4, random_state=1)),
                    ("linear", make_pipeline(StandardScaler(), LogisticRegression()))):
    model.fit(x, y)
    file = to_onnx(model, x[:1], options={id(model): {"zipmap": False}}, target_opset=17).SerializeToString()
    with open(f"inputs/{name}.onnx", "wb") as out:
        out.write(file)
    inputs = {"X": random.normal(1, 3, (7, 4)).astype(numpy.float32)}
    _, probabilities = onnxruntime.InferenceSession(file).run(None, inputs)
    save_file({"in.X": inputs["X"], "out.probabilities": probabilities}, f"inputs/{name}.safetensors")
