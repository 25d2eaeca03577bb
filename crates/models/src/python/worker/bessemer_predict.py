"""Handlers of one function: `predict(batch)`, or `predict(batch, model)` beside a `load`."""

import inspect
import json

from bessemer_script import Refused, imported, positional, takes_any_number

TYPES = {
    "DataFrame": "dataframe",
    "RecordBatch": "record_batch",
    "Table": "table",
    "list": "records",
    "List": "records",
    "Sequence": "records",
    "Iterable": "records",
}
SHOWN = {"dataframe": "pandas.DataFrame", "record_batch": "pyarrow.RecordBatch", "table": "pyarrow.Table"}


class PredictHandler:
    def __init__(self, module, settings):
        self.predict = module.predict
        parameters = positional(self.predict)
        if not parameters:
            raise Refused("`predict` takes no parameter; write `def predict(batch):`")
        loader = loader_of(module)
        required = [p for p in parameters if p.default is p.empty]
        if len(required) > 2 or (len(required) == 2 and loader is None):
            names = ", ".join(p.name for p in required)
            raise Refused(
                "`predict` takes (%s); write `predict(batch)`, or `predict(batch, model)` beside "
                "`load(model_dir)` or `model_fn(model_dir)`" % names
            )
        self.takes = wanted_type(parameters[0].annotation, self.predict)
        self.arrow = imported("pyarrow")
        self.wire = self.chosen_wire(settings["text_records"])
        self.arguments = ()
        if loader is not None:
            takes_folder = positional(loader) or takes_any_number(loader)
            model = loader(settings["model_dir"]) if takes_folder else loader()
            if len(parameters) > 1:
                self.arguments = (model,)

    def chosen_wire(self, text_records):
        if self.takes == "records":
            return "jsonlines" if text_records or self.arrow is None else "arrow"
        needed = ["pyarrow"] if self.arrow is None else []
        if self.takes == "dataframe" and imported("pandas") is None:
            needed.append("pandas")
        if needed:
            packages = " and ".join(needed)
            message = "`predict` takes a %s, which needs %s in the handler's environment"
            raise Refused(message % (SHOWN[self.takes], packages), " ".join(needed))
        return "arrow"

    def call(self, rows, body):
        return self.predict(self.decode(body), *self.arguments)

    def decode(self, body):
        if self.wire == "jsonlines":
            return json.loads(b"[" + b",".join(bytes(body).split(b"\n")[:-1]) + b"]")
        with self.arrow.ipc.open_stream(self.arrow.py_buffer(body)) as reader:
            batch = reader.read_next_batch()
        if self.takes == "table":
            return self.arrow.Table.from_batches([batch])
        if self.takes == "dataframe":
            return batch.to_pandas(use_threads=False)
        if self.takes == "records":
            columns = [column.to_pylist() for column in batch.columns]
            return [dict(zip(batch.schema.names, row)) for row in zip(*columns)]
        return batch


def loader_of(module):
    if hasattr(module, "model_fn"):
        return module.model_fn
    load = getattr(module, "load", None)
    # `from joblib import load` brings in a function of that name that is none of the script's.
    return load if getattr(load, "__module__", None) == module.__name__ else None


def wanted_type(annotation, function):
    """What `predict` takes, told by its parameter's annotation."""
    if annotation is inspect.Parameter.empty:
        return "dataframe" if imported("pandas") else "records"
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, function.__globals__)
        except Exception:
            pass  # a name that only type checkers import: told by its text
    name = annotation
    if not isinstance(annotation, str):
        origin = getattr(annotation, "__origin__", None) or annotation
        name = "%s.%s" % (getattr(origin, "__module__", ""), getattr(origin, "__qualname__", origin))
    found = TYPES.get(name.split("[")[0].rsplit(".", 1)[-1].strip())
    if found is None or name.startswith(("polars.", "pl.")):
        raise Refused(
            "`predict` takes a `%s`; annotate its parameter with pandas.DataFrame, "
            "pyarrow.RecordBatch, pyarrow.Table or list[dict]" % name
        )
    return found
