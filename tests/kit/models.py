"""Builds the models that the tests score with, and their libraries' own answers."""

import io
import tarfile

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from kit.tables import BIAS, WEIGHTS


def save_linear(path):
    """`prediction = x · WEIGHTS + BIAS`: one tensor of four features, no names recorded."""
    nodes = [helper.make_node("Gemm", ["input", "weights", "bias"], ["prediction"])]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["N", 1])],
        [
            numpy_helper.from_array(WEIGHTS.reshape(4, 1), "weights"),
            numpy_helper.from_array(np.array([BIAS], dtype=np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def save_mlp(path, features=8, seed=2):
    """A network of two hidden layers, as scikit-learn exports it; `scores` is [N, 3]."""
    random = np.random.default_rng(seed)
    sizes = [features, 16, 16, 3]
    nodes, initializers, last = [], [], "input"
    for layer, (wide, narrow) in enumerate(zip(sizes, sizes[1:])):
        weights = (random.normal(size=(wide, narrow)) / np.sqrt(wide)).astype(np.float32)
        bias = random.normal(size=narrow).astype(np.float32)
        initializers += [
            numpy_helper.from_array(weights, f"w{layer}"),
            numpy_helper.from_array(bias, f"b{layer}"),
        ]
        out = "scores" if layer == len(sizes) - 2 else f"h{layer}"
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"{out}_raw"]))
        kind = "Softmax" if out == "scores" else "Relu"
        nodes.append(helper.make_node(kind, [f"{out}_raw"], [out]))
        last = out
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def customers(count=300, seed=3):
    """Rows of two text and two numeric columns, and a class that depends on all of them."""
    random = np.random.default_rng(seed)
    city = random.choice(["Oslo", "Lima", "Pune", "Quito"], count)
    plan = random.choice(["free", "paid"], count)
    age = random.uniform(18, 90, count).astype(np.float32)
    visits = random.integers(0, 50, count).astype(np.int64)
    score = (city == "Oslo") * 2.0 + (plan == "paid") + age / 40 + visits / 25
    label = np.digitize(score, np.quantile(score, [0.25, 0.5, 0.75]))
    table = pa.table(
        {"id": pa.array(range(count), pa.int64()), "city": city, "plan": plan, "age": age, "visits": visits}
    )
    return table, label


def save_pipeline(path, zipmap=True):
    """One-hot, scaling and logistic regression, with one input a column."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table, label = customers()
    frame = table.to_pandas().drop(columns="id").astype({"city": object, "plan": object})
    encode = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]),
            ("numbers", StandardScaler(), ["age", "visits"]),
        ]
    )
    model = make_pipeline(encode, LogisticRegression(max_iter=500)).fit(frame, label > 1)
    inputs = [
        ("city", StringTensorType([None, 1])),
        ("plan", StringTensorType([None, 1])),
        ("age", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])),
    ]
    exported = to_onnx(model, initial_types=inputs, options={"zipmap": zipmap})
    path.write_bytes(exported.SerializeToString())
    return path


def save_classifier(path, zipmap=True):
    """Four classes named by text over four features, one tensor."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    from kit.tables import matrix, people

    features = matrix(people(400, seed=5))
    names = np.array(["ant", "bee", "cat", "dog"])
    label = names[(features[:, 0] > 0) * 2 + (features[:, 1] > 0)]
    model = LogisticRegression(max_iter=500).fit(features, label)
    exported = to_onnx(model, features[:1], options={"zipmap": zipmap})
    path.write_bytes(exported.SerializeToString())
    return path


def save_booster(path, objective="binary:logistic", classes=None, rounds=20, depth=4, seed=6):
    """An XGBoost model over `f0`..`f3` that knows its features' names; returns the booster."""
    import xgboost

    from kit.tables import FEATURES, matrix, people

    features = matrix(people(600, seed=seed))
    features[::7, 1] = np.nan
    signal = np.nan_to_num(features[:, 1]) * features[:, 0] + features[:, 2]
    if classes:
        label = np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1]))
    elif objective == "binary:logistic":
        label = signal > 0
    else:
        label = np.exp(signal / 4)
    data = xgboost.DMatrix(features, label, feature_names=FEATURES)
    settings = {"objective": objective, "max_depth": depth, "seed": seed, "nthread": 1}
    if classes:
        settings["num_class"] = classes
    booster = xgboost.train(settings, data, rounds)
    booster.save_model(path)
    return booster


def archive(path, name=None):
    """A model.tar.gz that holds `path`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(path, name or path.name)
    return packed.getvalue()


def rows(count, seed=1):
    """Rows as the booster reads them."""
    from kit.tables import matrix, people

    return matrix(people(count, seed=seed)).astype(np.float32)


def csv_of(rows):
    return "".join(",".join(repr(float(value)) for value in row) + "\n" for row in rows)


def booster_answers(booster, features):
    """XGBoost's own answers of a model that `save_booster` made."""
    import xgboost

    from kit.tables import FEATURES

    return booster.predict(xgboost.DMatrix(features, feature_names=FEATURES))


def onnx_answers(path, inputs):
    """onnxruntime's own answers, by output name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))
