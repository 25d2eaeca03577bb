"""What a handler returned, as Arrow columns or as one JSON text a record."""

import json
import math
import sys


def encode(result, rows, arrow):
    """The answer's bytes, and whether they are an Arrow stream (or JSON Lines)."""
    if hasattr(result, "detach"):  # a PyTorch tensor
        result = result.detach().cpu().numpy()
    elif hasattr(result, "toarray"):  # a sparse matrix
        result = result.toarray()
    elif hasattr(result, "__next__"):  # a generator
        result = list(result)
    # The types that Arrow would infer from a list hold for this batch only; JSON leaves them open.
    if isinstance(result, list):
        return json_lines(result), False
    if arrow is None:
        return json_lines(to_rows(result)), False
    table = to_arrow(result, rows, arrow).replace_schema_metadata(None)
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return sink.getvalue(), True


def to_arrow(result, rows, arrow):
    """`result` as a RecordBatch or Table."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if isinstance(result, (arrow.RecordBatch, arrow.Table)):
        return result
    if isinstance(result, (arrow.Array, arrow.ChunkedArray)):
        return arrow.table({"prediction": result})
    if isinstance(result, dict):
        return arrow.table({str(name): column(values, arrow) for name, values in result.items()})
    if pandas and isinstance(result, (pandas.DataFrame, pandas.Series)):
        result = in_batch_order(result, rows, pandas)
        if isinstance(result, pandas.Series):
            # Its name is most often that of the column that it was computed from.
            result = result.to_frame("prediction")
        halves = {name: "float32" for name, kind in result.dtypes.items() if kind == "float16"}
        result = result.astype(halves) if halves else result
        return arrow.Table.from_pandas(result, preserve_index=False, nthreads=1)
    if numpy and isinstance(result, numpy.ndarray) and result.ndim > 0:
        if result.dtype.names:
            return arrow.table({name: column(result[name], arrow) for name in result.dtype.names})
        return arrow.table({"prediction": column(result, arrow)})
    if hasattr(result, "to_arrow"):  # Polars
        return to_arrow(result.to_arrow(), rows, arrow)
    raise TypeError(returned(result))


def column(values, arrow):
    """One output column. A matrix of one column is a column; a wider one holds fixed-size lists."""
    numpy = sys.modules.get("numpy")
    if isinstance(values, (arrow.Array, arrow.ChunkedArray)):
        return values
    if not (numpy and isinstance(values, numpy.ndarray)):
        return arrow.array(values)
    if values.dtype == numpy.float16:
        values = values.astype(numpy.float32)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        flat = arrow.array(numpy.ascontiguousarray(values).reshape(-1))
        return arrow.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return arrow.array(values if values.ndim == 1 else values.tolist())


def in_batch_order(frame, rows, pandas):
    """A sort or a group-by moves rows together with their labels: each goes back to its place."""
    labels = frame.index
    if len(frame) != rows or labels.equals(pandas.RangeIndex(rows)) or labels.dtype.kind != "i":
        return frame
    moved = labels.is_unique and labels.min() == 0 and labels.max() == rows - 1
    return frame.sort_index() if moved else frame


def to_rows(result):
    """`result` as a list, where pyarrow is not there to take it as columns."""
    if isinstance(result, list):
        return result
    if isinstance(result, dict):
        columns = [to_rows(values) for values in result.values()]
        return [dict(zip(result, row)) for row in zip(*columns)]
    if hasattr(result, "to_dict") and hasattr(result, "columns"):
        return result.to_dict("records")
    if hasattr(result, "tolist") and getattr(result, "ndim", 1) > 0:
        return result.tolist()
    raise TypeError(returned(result))


def returned(result):
    return (
        "predict returned a `%s`; return one value a record as a Series, DataFrame, array, list, "
        "dict of columns, RecordBatch or Table" % type(result).__name__
    )


def json_lines(values):
    """One JSON text a value, each with a line end. JSON has no NaN and no infinity: they are null."""
    try:
        return write_lines(values)
    except ValueError:
        return write_lines(finite(json.loads(json.dumps(values, default=plain))))


def write_lines(values):
    # One call for the whole list is much faster than one a value; it parts the values by line ends,
    # which is only right where none has parts of its own.
    if values and all(type(value) in (float, int, bool, type(None)) for value in values):
        text = json.dumps(values, separators=("\n", ":"), allow_nan=False)
        return text[1:-1].encode() + b"\n"
    texts = [json.dumps(value, default=plain, allow_nan=False) + "\n" for value in values]
    return "".join(texts).encode()


def finite(value):
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [finite(part) for part in value]
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    return value


def plain(value):
    """What `json` does not know: numpy's scalars and arrays, dates, decimals, Arrow scalars."""
    for method in ("tolist", "isoformat", "as_py"):
        if hasattr(value, method):
            return getattr(value, method)()
    if type(value).__name__ == "Decimal":
        return float(value)
    raise TypeError("a `%s` cannot be written as JSON" % type(value).__name__)
