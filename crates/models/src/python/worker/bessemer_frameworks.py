"""What the functions do that a script leaves out: as in SageMaker's container of the framework."""

import csv
import io
import json
import math
import os
import types

# The content types that SageMaker's containers hand over as `str`; all others are `bytes`.
UTF8_TYPES = ("application/json", "text/csv")


def framework(name):
    """The steps of the container for `name`; of the inference toolkit, where it has none of its own."""
    steps = {"load": None, "input": default_input, "predict": default_predict}
    return types.SimpleNamespace(**(steps | FRAMEWORKS.get(name, {})))


def media_type(content_type):
    return (content_type or "").split(";")[0].strip().lower()


def default_input(body, content_type):
    import numpy

    kind = media_type(content_type)
    if kind == "text/csv":
        # numpy.genfromtxt, which the toolkit uses, would drop a dimension of a single row and take
        # an empty cell of a column of integers for -1.
        cells = list(csv.reader(io.StringIO(body, newline="")))
        try:
            return numpy.array([[float(c) if c.strip() else math.nan for c in row] for row in cells])
        except ValueError:
            return numpy.array(cells, dtype=object)
    if kind == "application/x-npy":
        return numpy.load(io.BytesIO(body))
    if kind == "application/json":
        records = json.loads(body)
    elif kind == "application/jsonlines":
        records = [json.loads(line) for line in body.splitlines() if line.strip()]
    else:
        raise ValueError("the script has no `input_fn`, and the default one reads no `%s`" % kind)
    return numpy.array([list(r.values()) if isinstance(r, dict) else r for r in records])


def default_predict(data, model):
    if hasattr(model, "predict"):
        return model.predict(data)
    if callable(model):
        return model(data)
    raise TypeError("the script has no `predict_fn`, and its model has no `predict`")


# -- scikit-learn --------------------------------------------------------------------------------


def sklearn_input(body, content_type):
    import numpy

    data = default_input(body, content_type)
    return data.astype(numpy.float32) if media_type(content_type) in UTF8_TYPES else data


# -- XGBoost -------------------------------------------------------------------------------------


def xgboost_input(body, content_type):
    import xgboost

    kind = media_type(content_type)
    if kind == "text/libsvm" or kind == "text/x-libsvm":
        return libsvm(body if isinstance(body, str) else bytes(body).decode())
    return xgboost.DMatrix(default_input(body, content_type))


def libsvm(text):
    import scipy.sparse
    import xgboost

    values, columns, starts = [], [], [0]
    for line in text.splitlines():
        for cell in line.split():
            name, colon, value = cell.partition(":")
            if colon and name.isdigit():  # what has no colon is a label
                columns.append(int(name))
                values.append(float(value))
        starts.append(len(values))
    return xgboost.DMatrix(scipy.sparse.csr_matrix((values, columns, starts)))


def xgboost_predict(data, model):
    import xgboost

    if isinstance(model, xgboost.Booster):
        return model.predict(data, validate_features=False)
    return default_predict(data, model)


# -- PyTorch -------------------------------------------------------------------------------------


def pytorch_load(model_dir):
    import torch

    found = [name for name in os.listdir(model_dir) if name.endswith((".pt", ".pth"))]
    if len(found) != 1:
        message = "the script has no `model_fn`, and `%s` holds %d files in .pt or .pth, not one"
        raise ValueError(message % (model_dir, len(found)))
    return torch.jit.load(os.path.join(model_dir, found[0]), map_location="cpu")


def pytorch_input(body, content_type):
    import torch

    data = default_input(body, content_type)
    is_text = media_type(content_type) in UTF8_TYPES
    return torch.FloatTensor(data) if is_text else torch.from_numpy(data)


def pytorch_predict(data, model):
    import torch

    with torch.no_grad():
        if hasattr(model, "eval"):
            model.eval()
        return model(data).detach().cpu().numpy()


FRAMEWORKS = {
    "scikit-learn": {"input": sklearn_input},
    "xgboost": {"input": xgboost_input, "predict": xgboost_predict},
    "pytorch": {"load": pytorch_load, "input": pytorch_input, "predict": pytorch_predict},
}
