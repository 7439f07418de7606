"""Makes inputs/support and inputs/encoders: support vectors, trees of the newest kind and encoders, with what ONNX Runtime gives. Needs
numpy, onnx, onnxruntime, scikit-learn and skl2onnx; run it in this folder, the tests read its results alone."""
import numpy as np
import onnx
from make_contributed import Case, normal, rng
from onnx import numpy_helper
from skl2onnx import to_onnx
from sklearn.svm import SVC, SVR, NuSVR, OneClassSVM

x = rng.normal(0, 1.5, (40, 3)).astype(np.float32)
y = (x[:, 0] + x[:, 1] ** 2 > 2).astype(int) + (x[:, 2] > 1)


def support():
    c = Case(X=rng.normal(0, 1.5, (9, 3)).astype(np.float32))
    # A class of all classes, with the probability or not; two classes; texts as names are not compared.
    for model, target in ((SVC(kernel="rbf"), y), (SVC(kernel="poly", degree=3), y), (SVC(kernel="sigmoid"), y > 0),
                          (SVC(probability=True, random_state=1), y), (SVC(probability=True, random_state=1), y > 0),
                          (SVR(kernel="rbf"), x[:, 0]), (NuSVR(kernel="linear"), x[:, 0]), (SVR(kernel="poly", degree=2), x[:, 1]), (OneClassSVM(), y)):
        file = to_onnx(model.fit(x, target.astype(float) if isinstance(model, (SVR, NuSVR)) else target.astype(int)), x[:1])
        node = next(n for n in file.graph.node if n.op_type.startswith("SVM"))
        c.node(node.op_type, "X", outputs=len(node.output), domain="ai.onnx.ml",
               **{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
    c.node("SVMRegressor", "X", domain="ai.onnx.ml", coefficients=[0.5, -1.0, 2.0], rho=[0.25], kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0])
    c.node("SVMClassifier", "X", outputs=2, domain="ai.onnx.ml", coefficients=[0.5, -1.0, 2.0, 1.0, 0.3, -0.2, 0.1, 0.9, 0.4], rho=[0.25], kernel_type="LINEAR",
           kernel_params=[0.0, 0.0, 0.0], classlabels_ints=[7, 4, 1])
    c.write("support")


def encoders():
    c = Case(whole=np.array([[3, 1], [7, 2]]), real=np.array([1.5, np.nan, 2.0, 8.0], np.float32), X=normal(6, 3),
             missing=np.array([[0.5, np.nan, 1], [np.nan, 2, -1]], np.float32))
    ml = dict(domain="ai.onnx.ml")
    c.node("LabelEncoder", "whole", keys_int64s=[1, 3, 7], values_floats=[0.5, 2.5, -1.0], default_float=9.0, **ml)
    c.node("LabelEncoder", "real", keys_floats=[2.0, float("nan"), 1.5], values_int64s=[4, 5, 6], default_int64=-3, **ml)
    c.node("OneHotEncoder", "whole", cats_int64s=[1, 2, 7], **ml)
    for transform in ("SOFTMAX", "SOFTMAX_ZERO", "LOGISTIC", "NONE"):
        c.node("LinearClassifier", "X", outputs=2, coefficients=list(map(float, rng.normal(size=9))), intercepts=[0.1, -0.2, 0.3],
               classlabels_ints=[2, 5, 3], post_transform=transform, **ml)
    # Comparisons of several kinds in one forest, and of what is missing.
    c.node("TreeEnsembleRegressor", "missing", n_targets=1, nodes_treeids=[0, 0, 0, 0, 0, 1, 1, 1], nodes_nodeids=[0, 1, 2, 3, 4, 0, 1, 2],
           nodes_featureids=[0, 1, 0, 0, 0, 2, 0, 0], nodes_values=[0.7, 1.0, 0, 0, 0, 0.5, 0, 0],
           nodes_modes=["BRANCH_LT", "BRANCH_GT", "LEAF", "LEAF", "LEAF", "BRANCH_GTE", "LEAF", "LEAF"],
           nodes_truenodeids=[1, 2, 0, 0, 0, 1, 0, 0], nodes_falsenodeids=[4, 3, 0, 0, 0, 2, 0, 0],
           nodes_missing_value_tracks_true=[1, 0, 0, 0, 0, 0, 0, 0],
           target_treeids=[0, 0, 0, 1, 1], target_nodeids=[2, 3, 4, 1, 2], target_ids=[0] * 5, target_weights=[1.0, 2.0, 3.0, 10.0, 20.0], **ml)
    c.write("encoders")


if __name__ == "__main__":
    support()
    encoders()
