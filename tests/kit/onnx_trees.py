"""ONNX models of trees: exported ones, and random ones that use every corner of the operators."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kit.tables import FEATURES, matrix, people

BRANCHES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
MEMBER = 6


def rows(count=700, seed=9, features=4, kind=np.float32):
    """Rows with whole numbers, zeros of both signs, infinities and missing values."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, features)).astype(kind)
    whole = random.random(count) < 0.3
    values[whole] = np.round(values[whole] * 3)
    values[random.random(values.shape) < 0.1] = np.nan
    values[0], values[1] = 0.0, -0.0
    values[2, 0], values[3, 0] = np.inf, -np.inf
    return values


def training(classes=None, seed=5):
    """Features, and a number or one of so many classes a row."""
    features = matrix(people(500, seed=seed))
    signal = features[:, 0] * features[:, 1] + features[:, 2]
    if classes is None:
        return features, signal
    bounds = np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])
    return features, np.digitize(signal, bounds)


def export_sklearn(path, estimator, target, zipmap=None, kind=np.float32, names=None):
    """Fits `estimator` and exports it; `zipmap` is the exporter's option."""
    import skl2onnx.common._container as container
    from skl2onnx import to_onnx

    features, _ = training()
    estimator.fit(features, target)
    options = None if zipmap is None else {"zipmap": zipmap}
    # The exporter's `HistGradientBoosting` hands booleans to `make_node`, which wants integers.
    original = container.make_node
    container.make_node = with_integers(original)
    try:
        model = to_onnx(estimator, features[:1].astype(kind), options=options)
    finally:
        container.make_node = original
    if names:
        onnx.helper.set_model_props(model, {"feature_names": names})
    path.write_bytes(model.SerializeToString())
    return path


def with_integers(make_node):
    def integer(value):
        return int(value) if isinstance(value, (bool, np.bool_, np.integer)) else value

    def make(operator, inputs, outputs, name=None, **attributes):
        changed = {
            key: list(map(integer, value)) if isinstance(value, list) else value
            for key, value in attributes.items()
        }
        return make_node(operator, inputs, outputs, name=name, **changed)

    return make


def export_boosted(path, estimator, target, **options):
    """Fits an estimator of XGBoost or LightGBM and exports it by onnxmltools."""
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    features, _ = training()
    fit = options.pop("fit", {})
    features = options.pop("features", features)
    estimator.fit(features, target, **fit)
    library = type(estimator).__module__.split(".")[0]
    convert = getattr(onnxmltools, f"convert_{library}")
    inputs = [("X", FloatTensorType([None, features.shape[1]]))]
    model = convert(estimator, initial_types=inputs, **options)
    path.write_bytes(model.SerializeToString())
    return path


class Grower:
    """Grows random trees as the lists of nodes of an operator."""

    def __init__(self, seed, members=False):
        self.random = np.random.default_rng(seed)
        self.members = members

    def threshold(self):
        if self.random.random() < 0.05:
            return self.random.choice([np.inf, -np.inf, 0.0, -0.0])
        return np.float32(self.random.choice([self.random.integers(-4, 5), self.random.normal()]))

    def tree(self, modes, depth):
        """A tree: a leaf is its depth left over, a split a dictionary."""
        if depth == 0 or self.random.random() < 0.1:
            return None
        kind = self.random.choice(modes)
        split = {"mode": kind, "feature": int(self.random.integers(4)), "value": self.threshold()}
        split["missing"] = int(self.random.random() < 0.4)
        if kind == "MEMBER":
            count = int(self.random.integers(1, 5))
            split["members"] = [float(x) for x in self.random.choice([*range(8), 2.5], count, False)]
        split["true"] = self.tree(modes, depth - 1)
        split["false"] = self.tree(modes, depth - 1)
        return split


def random_operator(seed, classifier, kind=np.float32):
    """A `TreeEnsembleClassifier` or `TreeEnsembleRegressor` of ai.onnx.ml 3 as a model."""
    grower = Grower(seed)
    random = grower.random
    targets = int(random.choice([2, 2, 3, 5] if classifier else [1, 1, 2, 3]))
    modes = BRANCHES if random.random() < 0.5 else [BRANCHES[random.integers(len(BRANCHES))]]
    one_weight = classifier and random.random() < 0.5
    votes_for = [int(random.integers(targets)) if targets > 2 else 0] if one_weight else None
    if one_weight and targets > 2:
        votes_for = None
    positive = random.random() < 0.4
    nodes = {name: [] for name in NODE_LISTS}
    votes = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(int(random.integers(1, 9))):
        own = votes_for or list(range(targets))
        if votes_for is None and random.random() < 0.3:
            own = [tree % targets]
        add_tree(nodes, votes, tree, grower.tree(modes, int(random.integers(0, 5))), own, random, positive)
    attributes = {f"nodes_{name}": values for name, values in nodes.items()}
    prefix = "class" if classifier else "target"
    attributes |= {f"{prefix}_{name}": values for name, values in votes.items()}
    if random.random() < 0.3:
        del attributes["nodes_missing_value_tracks_true"]
    transforms = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]
    attributes["post_transform"] = str(random.choice(transforms))
    if random.random() < 0.6:
        length = int(random.choice([1, 2])) if classifier and targets == 2 else targets
        attributes["base_values"] = [float(np.float32(x)) for x in random.normal(size=length)]
    if classifier:
        if random.random() < 0.5:
            attributes["classlabels_strings"] = [f"class {i}" for i in range(targets)]
        else:
            attributes["classlabels_int64s"] = list(range(targets))
        outputs = [("label", TensorProto.STRING if "classlabels_strings" in attributes else TensorProto.INT64, ["N"])]
        outputs.append(("scores", TensorProto.FLOAT, ["N", targets]))
    else:
        attributes["n_targets"] = targets
        attributes["aggregate_function"] = str(random.choice(["SUM", "AVERAGE"]))
        outputs = [("scores", TensorProto.FLOAT, ["N", targets])]
    if kind == np.float64:
        for name in ("nodes_values", f"{prefix}_weights", "base_values"):
            if attributes.get(name):
                wide = np.array(attributes.pop(name), dtype=np.float64)
                attributes[f"{name}_as_tensor"] = numpy_helper.from_array(wide, name)
    operator = "TreeEnsembleClassifier" if classifier else "TreeEnsembleRegressor"
    return model_of(operator, attributes, outputs, 3, kind)


NODE_LISTS = (
    "treeids",
    "nodeids",
    "modes",
    "featureids",
    "values",
    "truenodeids",
    "falsenodeids",
    "missing_value_tracks_true",
)


def add_tree(nodes, votes, number, tree, own, random, positive):
    """Appends `tree`, its nodes in the order of a walk in depth."""

    def add(node):
        place = add.count
        add.count += 1
        at = len(nodes["nodeids"])
        values = [number, place, "LEAF", 0, 0.0, 0, 0, 0]
        if node:
            values[2:5] = [node["mode"], node["feature"], float(node["value"])]
            values[7] = node["missing"]
        for name, value in zip(NODE_LISTS, values):
            nodes[name].append(value)
        if node:
            nodes["truenodeids"][at] = add(node["true"])
            nodes["falsenodeids"][at] = add(node["false"])
            return place
        for target in own:
            weight = float(np.float32(random.normal()))
            for name, value in zip(votes, [number, place, target, abs(weight) if positive else weight]):
                votes[name].append(value)
        return place

    add.count = 0
    add(tree)


def random_ensemble(seed):
    """A `TreeEnsemble` of ai.onnx.ml 5, members and all, as a model."""
    grower = Grower(seed)
    random = grower.random
    targets = int(random.choice([1, 2, 3]))
    names = ("featureids", "modes", "splits", "truenodeids", "trueleafs", "falsenodeids", "falseleafs")
    nodes = {name: [] for name in (*names, "missing_value_tracks_true")}
    leaves, members, roots = {"targetids": [], "weights": []}, [], []

    def leaf():
        leaves["targetids"].append(int(random.integers(targets)))
        leaves["weights"].append(float(np.float32(random.normal())))
        return len(leaves["targetids"]) - 1, 1

    def add(node):
        if node is None:
            return leaf()
        at = len(nodes["modes"])
        kind = MEMBER if node["mode"] == "MEMBER" else BRANCHES.index(node["mode"])
        values = [node["feature"], kind, float(node["value"]), 0, 0, 0, 0, node["missing"]]
        for name, value in zip(nodes, values):
            nodes[name].append(value)
        if kind == MEMBER:
            members.extend([*node["members"], np.nan])
        for side in ("true", "false"):
            nodes[f"{side}nodeids"][at], nodes[f"{side}leafs"][at] = add(node[side])
        return at, 0

    for _ in range(int(random.integers(1, 6))):
        tree = None
        while tree is None or (tree["true"] is None) != (tree["false"] is None):
            tree = grower.tree([*BRANCHES, "MEMBER", "MEMBER"], 4)
        roots.append(add(tree)[0])

    def tensor(name, values, kind=np.float32):
        return numpy_helper.from_array(np.array(values, dtype=kind), name)

    attributes = {f"nodes_{name}": nodes[name] for name in nodes if name not in ("modes", "splits")}
    attributes |= {
        "nodes_modes": tensor("modes", nodes["modes"], np.uint8),
        "nodes_splits": tensor("splits", nodes["splits"]),
        "leaf_targetids": leaves["targetids"],
        "leaf_weights": tensor("weights", leaves["weights"]),
        "tree_roots": roots,
        "n_targets": targets,
        "aggregate_function": int(random.choice([0, 1])),
        "post_transform": 0,
    }
    if members:
        attributes["membership_values"] = tensor("members", members)
    return model_of("TreeEnsemble", attributes, [("scores", TensorProto.FLOAT, ["N", targets])], 5)


def model_of(operator, attributes, outputs, version, kind=np.float32, after=(), features=4):
    """A model of one operator on the input `X` and the nodes `after` it."""
    names = [name for name, _, _ in outputs]
    node = helper.make_node(operator, ["X"], names, domain="ai.onnx.ml", **attributes)
    element = TensorProto.FLOAT if kind == np.float32 else TensorProto.DOUBLE
    graph = helper.make_graph(
        [node, *after],
        "trees",
        [helper.make_tensor_value_info("X", element, ["N", features])],
        [helper.make_tensor_value_info(*output) for output in outputs],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def answers(path, values):
    """onnxruntime's own answers in one thread, where it adds leaves in the order of the trees."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: values})))


def export_around(path):
    """A small forest with what exporters put around one: an imputer, a scaler, names for the classes."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    forest = RandomForestClassifier(2, max_depth=2, random_state=0)
    model = make_pipeline(SimpleImputer(), StandardScaler(), forest)
    return export_sklearn(path, model, training(3)[1], zipmap=True)
