"""Handlers of SageMaker's functions: `model_fn`, `input_fn`, `predict_fn`, `output_fn`, or
`transform_fn`. What a script leaves out does as in SageMaker's inference toolkit."""

import csv
import io
import json
import math
import types

from bessemer_answers import json_lines, plain
from bessemer_frameworks import UTF8_TYPES, framework, media_type
from bessemer_script import Refused, imported, positional, takes_any_number

STEPS = ("transform_fn", "input_fn", "predict_fn", "output_fn")
WIRES = {
    "application/jsonlines": "jsonlines",
    "application/json": "jsonlines",
    "text/csv": "csv",
    "text/plain": "raw",
    "application/x-parquet": "arrow",
    "application/x-npy": "arrow",
}


class SageMakerHandler:
    takes = "sagemaker"

    def __init__(self, module, settings):
        self.content_type, self.accept = settings["content_type"], settings["accept"]
        defaults = framework(settings["framework"])
        # Whole payloads are the script's own matter, whatever their type.
        self.wire = "raw" if settings["payloads"] else WIRES.get(media_type(self.content_type))
        if self.wire is None:
            raise Refused("`%s` is none of the content types %s" % (self.content_type, ", ".join(WIRES)))
        self.arrow = imported("pyarrow") if self.wire == "arrow" else None
        if self.wire == "arrow" and self.arrow is None:
            message = "`%s` needs pyarrow in the handler's environment"
            raise Refused(message % self.content_type, "pyarrow")
        model_dir = settings["model_dir"]
        self.context = types.SimpleNamespace(
            system_properties={"model_dir": model_dir, "gpu_id": None, "batch_size": 1}, manifest={}
        )
        steps = {name: getattr(module, name, None) for name in STEPS}
        if steps["transform_fn"] and any(steps[name] for name in STEPS[1:]):
            raise Refused("`transform_fn` stands beside `input_fn`, `predict_fn` or `output_fn`; keep one")
        self.transform = self.bound(steps["transform_fn"], 4)
        self.input = self.bound(steps["input_fn"], 2) or defaults.input
        self.predict = self.bound(steps["predict_fn"], 2) or defaults.predict
        self.output = self.bound(steps["output_fn"], 2) or default_output
        load = self.bound(getattr(module, "model_fn", None), 1) or defaults.load
        if load is None and not (steps["transform_fn"] or steps["predict_fn"]):
            raise Refused("the script has no `model_fn`, so there is no model to predict with")
        self.model = load(model_dir) if load else None

    def bound(self, function, count):
        """`function` as one of `count` arguments; the context is added where it takes one more."""
        if function is None:
            return None
        taken = len(positional(function))
        if taken == count + 1:
            return lambda *arguments: function(*arguments, self.context)
        if taken != count and not takes_any_number(function):
            raise Refused("`%s` takes %d parameters, not %d" % (function.__name__, taken, count))
        return function

    def call(self, rows, body):
        answer, accept = self.answer(self.body(bytes(body)))
        return parse_answer(answer, media_type(accept), rows)

    def invoke(self, payload):
        """What the script answers to a whole payload, as bytes."""
        is_text = media_type(self.content_type) in UTF8_TYPES
        answer, accept = self.answer(payload.decode() if is_text else bytes(payload))
        if not isinstance(answer, (str, bytes, bytearray, memoryview)):
            answer = default_output(answer, accept)
        return answer.encode() if isinstance(answer, str) else answer

    def answer(self, body):
        """What the script answers, and its content type."""
        content_type, accept = self.content_type, self.accept
        if self.transform:
            answer = self.transform(self.model, body, content_type, accept)
        else:
            data = self.input(body, content_type)
            answer = self.output(self.predict(data, self.model), accept)
        if isinstance(answer, tuple) and len(answer) == 2:
            return answer
        if hasattr(answer, "get_data"):  # a response of Flask or werkzeug
            return answer.get_data(), answer.mimetype or accept
        return answer, accept

    def body(self, body):
        """The records in the content type that the script is to read."""
        kind = media_type(self.content_type)
        if self.wire == "arrow":
            return from_arrow(self.arrow.ipc.open_stream(body).read_all(), kind)
        if kind == "application/json":
            body = b"[" + b",".join(body.split(b"\n")[:-1]) + b"]"
        return body.decode() if kind in UTF8_TYPES else body


def from_arrow(table, kind):
    sink = io.BytesIO()
    if kind == "application/x-parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, sink, compression="none")
    else:
        import numpy

        columns = [column.to_numpy(zero_copy_only=False) for column in table.columns]
        numpy.save(sink, numpy.column_stack(columns))
    return sink.getvalue()


# -- The step that a script may leave out -------------------------------------------------------


def default_output(prediction, accept):
    kind = media_type(accept)
    if kind in ("application/json", "*/*", ""):
        return json.dumps(prediction, default=plain)
    if kind == "application/jsonlines":
        return json_lines(prediction.tolist() if hasattr(prediction, "tolist") else list(prediction))
    import numpy

    stream = io.BytesIO()
    if kind == "text/csv":
        numpy.savetxt(stream, prediction, delimiter=",", fmt="%s")
    elif kind == "application/x-npy":
        numpy.save(stream, prediction)
    else:
        raise ValueError("the script has no `output_fn`, and the default one writes no `%s`" % kind)
    return stream.getvalue()


# -- What came back, as one value a record -------------------------------------------------------


def parse_answer(answer, kind, rows):
    if not isinstance(answer, (str, bytes, bytearray, memoryview)):
        return answer  # no text at all: taken as what a `predict` returns
    if kind == "application/x-npy":
        import numpy

        return numpy.load(io.BytesIO(answer))
    text = answer if isinstance(answer, str) else bytes(answer).decode("utf-8-sig")
    if kind == "text/csv":
        return parse_csv(text, rows)
    if kind in ("application/json", "application/jsonlines", "*/*", ""):
        return parse_json(text, kind, rows)
    return text.splitlines()


def parse_json(text, kind, rows):
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]
    if rows == 1 and kind == "application/jsonlines":
        return [value]
    if isinstance(value, dict) and isinstance(value.get("predictions"), list):
        return value["predictions"]
    return value if isinstance(value, list) else [value]


def parse_csv(text, rows):
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if len(lines) == 1 and len(lines[0]) == rows:
        lines = [[value] for value in lines[0]]  # all answers in one row, as XGBoost's container does
    values = [[parse_cell(cell) for cell in line] for line in lines]
    return [line[0] if len(line) == 1 else line or None for line in values]


def parse_cell(cell):
    text = cell.strip()
    if not text:
        return None
    if "_" in text:
        return cell
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return cell
    return number if math.isfinite(number) else None
