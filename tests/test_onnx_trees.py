"""ONNX models that are nothing but trees: scored without ONNX Runtime, and as onnxruntime scores them."""

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from kit import cli, files, onnx_trees, tables

COLUMNS = tables.FEATURES


def nowhere(folder):
    """An environment in which no ONNX Runtime is found."""
    return {"BESSEMER_ONNXRUNTIME": str(folder / "nowhere.so"), "HOME": str(folder), "PATH": "/usr/bin:/bin"}


def scored(values, model, folder, *arguments, env=None, columns=None, out="out"):
    """What the binary makes of rows of `values`, with no ONNX Runtime to be found unless `env` is given."""
    names = columns or [f"f{i}" for i in range(values.shape[1])]
    table = pa.table({name: values[:, i] for i, name in enumerate(names)})
    source = files.write(folder / f"{out}.parquet", table, "parquet")
    arguments = ["--model", model, "--nulls", "nan", "--join", "none", *arguments]
    cli.transform(source, folder / out, *arguments, env=nowhere(folder) if env is None else env)
    return pq.read_table(folder / out / f"{out}.parquet")


def check(table, expected, tolerance=1e-6):
    """The columns are the outputs: one each, or for a map one a class."""
    columns = iter(table.column_names)
    for name, values in expected.items():
        if isinstance(values, list):
            for key in values[0]:
                found = table[next(columns)].to_numpy()
                assert np.allclose(found, [row[key] for row in values], rtol=tolerance, atol=1e-7)
        elif values.dtype.kind in "OUi":
            assert table[next(columns)].to_pylist() == values.ravel().tolist()
        else:
            found = np.array(table[next(columns)].to_pylist(), dtype=np.float64).reshape(values.shape)
            assert np.allclose(found, values, rtol=tolerance, atol=1e-7, equal_nan=True), name
    assert not list(columns)


def sklearn_models():
    from sklearn import ensemble, impute, pipeline, preprocessing, tree

    small = {"random_state": 0, "max_depth": 5}
    few = small | {"n_estimators": 10}
    words = np.array(["ant", "bee", "cat"])
    two, three, number = (onnx_trees.training(classes)[1] for classes in (2, 3, None))
    forest = ensemble.RandomForestClassifier
    imputed = lambda *steps: pipeline.make_pipeline(impute.SimpleImputer(), *steps)
    return {
        "forest of two": (forest(**few), two, True),
        "forest of two, tensor": (forest(**few), two, False),
        "forest of three": (forest(**few), three, False),
        "forest of words": (forest(**few), words[three], True),
        "forest of words, columns": (forest(**few), words[three], "columns"),
        "forest of odd numbers": (forest(**few), two * 2 + 5, True),
        "extra trees": (ensemble.ExtraTreesClassifier(**few), two, False),
        "tree": (tree.DecisionTreeClassifier(**small), three, True),
        "boosted two": (ensemble.GradientBoostingClassifier(**few), two, True),
        "boosted three": (ensemble.GradientBoostingClassifier(**few), three, False),
        "histograms of two": (ensemble.HistGradientBoostingClassifier(max_iter=10), two, True),
        "histograms of three": (ensemble.HistGradientBoostingClassifier(max_iter=10), three, False),
        "forest": (ensemble.RandomForestRegressor(**few), number, None),
        "extra trees of numbers": (ensemble.ExtraTreesRegressor(**few), number, None),
        "boosted": (ensemble.GradientBoostingRegressor(**few), number, None),
        "histograms": (ensemble.HistGradientBoostingRegressor(max_iter=10), number, None),
        "two targets": (ensemble.RandomForestRegressor(**few), np.column_stack([number, -number]), None),
        "imputed and scaled": (imputed(preprocessing.StandardScaler(), forest(**few)), two, True),
        "imputed and squeezed": (imputed(preprocessing.MinMaxScaler(), ensemble.RandomForestRegressor(**few)), number, None),
    }


@pytest.mark.parametrize("name", list(sklearn_models()))
def test_sklearn(name, tmp_path):
    estimator, target, zipmap = sklearn_models()[name]
    path = onnx_trees.export_sklearn(tmp_path / "model.onnx", estimator, target, zipmap)
    values = onnx_trees.rows()
    check(scored(values, path, tmp_path), onnx_trees.answers(path, values))


def boosted_models():
    import lightgbm
    import xgboost

    two, three, number = (onnx_trees.training(classes)[1] for classes in (2, 3, None))
    xgb, lgb = {"n_estimators": 10, "max_depth": 4}, {"n_estimators": 10, "verbose": -1}
    features = onnx_trees.training()[0].copy()
    features[:, 0] = np.arange(len(features)) % 12
    categories = {"features": features, "fit": {"categorical_feature": [0]}}
    return {
        "xgboost two": (xgboost.XGBClassifier(**xgb), two, {}),
        "xgboost three": (xgboost.XGBClassifier(**xgb), three, {}),
        "xgboost number": (xgboost.XGBRegressor(**xgb), number, {}),
        "xgboost counts": (xgboost.XGBRegressor(**xgb, objective="count:poisson"), two, {}),
        "lightgbm two": (lightgbm.LGBMClassifier(**lgb), two, {}),
        "lightgbm two, tensor": (lightgbm.LGBMClassifier(**lgb), two, {"zipmap": False}),
        "lightgbm three": (lightgbm.LGBMClassifier(**lgb), three, {}),
        "lightgbm number": (lightgbm.LGBMRegressor(**lgb), number, {}),
        "lightgbm categories": (lightgbm.LGBMRegressor(**lgb, cat_smooth=1, min_data_per_group=2), number + features[:, 0] % 5, categories),
    }


@pytest.mark.parametrize("name", list(boosted_models()))
def test_boosted(name, tmp_path):
    estimator, target, options = boosted_models()[name]
    path = onnx_trees.export_boosted(tmp_path / "model.onnx", estimator, target, **options)
    values = onnx_trees.rows()
    check(scored(values, path, tmp_path), onnx_trees.answers(path, values))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["classifier", "regressor", "double classifier", "double regressor", "version 5"])
def test_random_operators(kind, seed, tmp_path):
    """Every mode, transform, kind of labels and base, votes for one class or some or all."""
    number = np.float64 if kind.startswith("double") else np.float32
    if kind == "version 5":
        model = onnx_trees.random_ensemble(seed)
    else:
        model = onnx_trees.random_operator(seed, kind.endswith("classifier"), number)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    values = onnx_trees.rows(kind=number)
    check(scored(values, path, tmp_path), onnx_trees.answers(path, values))


def test_same_columns_as_onnx_runtime(tmp_path):
    """`--onnx runtime` gives the same columns and answers."""
    _, target = onnx_trees.training(3)
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(5, max_depth=3, random_state=0)
    values = onnx_trees.rows()
    runtime = ["--onnx", "runtime"]
    for zipmap in (True, False, "columns"):
        path = onnx_trees.export_sklearn(tmp_path / "model.onnx", forest, target, zipmap)
        native = scored(values, path, tmp_path, out=f"native-{zipmap}")
        foreign = scored(values, path, tmp_path, *runtime, env={}, out=f"foreign-{zipmap}")
        assert native.schema.equals(foreign.schema)
        check(native, {name: np.array(foreign[name].to_pylist()) for name in foreign.column_names})
    source = tmp_path / "native-True.parquet"
    arguments = ["--model", path, *runtime]
    result = cli.transform(source, tmp_path / "none", *arguments, expect=None, env=nowhere(tmp_path))
    assert result.code in (cli.CONFIGURATION, cli.NOT_FOUND)
    assert "nowhere.so" in result.stderr


def test_margins_and_leaves_are_refused(tmp_path):
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(3, max_depth=4, random_state=0)
    path = onnx_trees.export_sklearn(tmp_path / "model.onnx", forest, onnx_trees.training()[1])
    source = files.write(tmp_path / "rows.parquet", tables.people(5).select(COLUMNS), "parquet")
    for option in ("--raw-score", "--leaf-index"):
        result = cli.transform(source, tmp_path / "out", "--model", path, option, expect=cli.USAGE)
        assert option in result.stderr


def test_features_by_name(tmp_path):
    from sklearn.ensemble import RandomForestRegressor

    _, target = onnx_trees.training()
    forest = RandomForestRegressor(5, max_depth=4, random_state=0)
    recorded = {"feature_names": '["a", "b", "c", "d"]'}
    path = onnx_trees.export_sklearn(tmp_path / "named.onnx", forest, target, names=None)
    values = onnx_trees.rows()
    expected = onnx_trees.answers(path, values)
    shuffled = values[:, [2, 0, 3, 1]]
    names = ["c", "a", "d", "b"]
    check(scored(shuffled, path, tmp_path, "--features", "a,b,c,d", columns=names, out="asked"), expected)
    model = onnx.load(path)
    helper.set_model_props(model, recorded)
    onnx.save(model, tmp_path / "recorded.onnx")
    check(scored(shuffled, tmp_path / "recorded.onnx", tmp_path, columns=names, out="recorded"), expected)


def test_one_input_a_column(tmp_path):
    """Inputs of their own types, side by side before the trees."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
    from sklearn.ensemble import RandomForestRegressor

    features, target = onnx_trees.training()
    forest = RandomForestRegressor(5, max_depth=4, random_state=0).fit(features, target)
    model = to_onnx(forest, features[:1])
    graph = model.graph
    graph.node[0].input[:] = ["all"]
    inputs = [(name, FloatTensorType([None, 1])) for name in COLUMNS[:3]] + [("f3", Int64TensorType([None, 1]))]
    del graph.input[:]
    for name, kind in inputs:
        element = TensorProto.INT64 if isinstance(kind, Int64TensorType) else TensorProto.FLOAT
        graph.input.append(helper.make_tensor_value_info(name, element, ["N", 1]))
    graph.node.insert(0, helper.make_node("Cast", ["f3"], ["f3 as float"], to=TensorProto.FLOAT))
    graph.node.insert(1, helper.make_node("Concat", [*COLUMNS[:3], "f3 as float"], ["all"], axis=1))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    values = onnx_trees.rows()
    whole = np.arange(len(values)) % 5 - 2
    table = pa.table({"f3": whole, "f1": values[:, 1], "f0": values[:, 0], "f2": values[:, 2]})
    source = files.write(tmp_path / "rows.parquet", table, "parquet")
    arguments = ["--model", path, "--nulls", "nan", "--join", "none"]
    cli.transform(source, tmp_path / "out", *arguments, env=nowhere(tmp_path))
    values[:, 3] = whole
    (name,) = [output.name for output in graph.output]
    found = pq.read_table(tmp_path / "out/rows.parquet")[name].to_numpy()
    assert np.allclose(found, forest_answers(path, values), rtol=1e-6, atol=1e-7)


def forest_answers(path, values):
    import onnxruntime

    inputs = {name: values[:, [i]] for i, name in enumerate(COLUMNS[:3])}
    inputs["f3"] = values[:, [3]].astype(np.int64)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0].ravel()


def test_nulls_are_rejects_unless_nan(tmp_path):
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(3, max_depth=3, random_state=0)
    path = onnx_trees.export_sklearn(tmp_path / "model.onnx", forest, onnx_trees.training()[1])
    table = tables.people(20).select(COLUMNS)
    holes = pa.array([None if i in (3, 17) else float(i) for i in range(20)], pa.float32())
    table = table.set_column(1, "f1", holes)
    source = files.write(tmp_path / "rows.parquet", table, "parquet")
    cli.transform(source, tmp_path / "out", "--model", path, expect=cli.REJECTED, env=nowhere(tmp_path))
    assert [reject["row"] for reject in files.rejects(tmp_path / "out")] == [3, 17]


def test_what_onnx_runtime_has_to_do(tmp_path):
    """Aggregates that the kernels don't do go to ONNX Runtime, and need it."""
    model = onnx_trees.random_operator(3, classifier=False)
    attributes = {attribute.name: attribute for attribute in model.graph.node[0].attribute}
    attributes["aggregate_function"].s = b"MAX"
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    values = onnx_trees.rows()
    check(scored(values, path, tmp_path, env={}), onnx_trees.answers(path, values))
    source = tmp_path / "out.parquet"
    arguments = ["--model", path, "--nulls", "nan"]
    result = cli.transform(source, tmp_path / "none", *arguments, expect=None, env=nowhere(tmp_path))
    assert result.code in (cli.CONFIGURATION, cli.NOT_FOUND)
    assert "nowhere.so" in result.stderr


def broken_children(attributes):
    attributes["nodes_truenodeids"].ints[0] = 1 << 31


def broken_cycle(attributes):
    """The first split below the root leads back to the root."""
    modes = attributes["nodes_modes"].strings
    split = next(i for i in range(1, len(modes)) if modes[i] != b"LEAF")
    attributes["nodes_falsenodeids"].ints[split] = 0


def broken_lengths(attributes):
    del attributes["nodes_values"].floats[-1]


def broken_threshold(attributes):
    attributes["nodes_values"].floats[0] = np.nan


def broken_feature(attributes):
    attributes["nodes_featureids"].ints[0] = 77


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (broken_children, "child 2147483648"),
        (broken_cycle, "leads back to itself"),
        (broken_lengths, "nodes_values"),
        (broken_threshold, "not a number"),
        (broken_feature, "feature 77 of 4"),
    ],
)
def test_malformed(break_it, message, tmp_path):
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(3, max_depth=4, random_state=0)
    path = onnx_trees.export_sklearn(tmp_path / "model.onnx", forest, onnx_trees.training()[1])
    model = onnx.load(path)
    break_it({attribute.name: attribute for attribute in model.graph.node[0].attribute})
    onnx.save(model, path)
    source = files.write(tmp_path / "rows.parquet", tables.people(5).select(COLUMNS), "parquet")
    arguments = ["--model", path, "--nulls", "nan"]
    result = cli.transform(source, tmp_path / "out", *arguments, expect=cli.CONFIGURATION)
    assert message in result.stderr
    assert not files.outputs(tmp_path / "out")
