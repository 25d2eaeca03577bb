"""A model server that speaks the container contract, and fails where its records tell it to.

The model: `x * 2` of an object, the sum of a list or of a CSV row's numbers. A record whose `poison`
is `fail` makes a call answer 400, `error` 500, `die` ends the process, `hang` never answers, `short`
loses an answer. Settings by environment: PORT, MAX_BYTES (413 above it), BUSY (so many 503 first),
COUNT_TO (a file that gets a line for every call), PARAMETERS (what /execution-parameters answers).
"""

import csv
import gzip
import io
import json
import os
import threading
import time

from flask import Flask, Response, request

app = Flask(__name__)
lock = threading.Lock()
busy = int(os.environ.get("BUSY", "0"))
max_bytes = int(os.environ.get("MAX_BYTES", "0"))


def score(record):
    poison = record.get("poison") if isinstance(record, dict) else None
    if poison == "fail":
        raise ValueError(f"no such x in record {record['id']}")
    if poison == "die":
        os._exit(137)
    if poison == "hang":
        time.sleep(3600)
    if isinstance(record, dict):
        return record["x"] * 2
    if isinstance(record, list):
        return sum(record)
    return len(record)


def parse(body, content_type):
    if content_type == "application/jsonlines":
        return [json.loads(line) for line in body.splitlines()]
    if content_type == "application/json":
        document = json.loads(body)
        return document["instances"] if isinstance(document, dict) and "instances" in document else document
    if content_type == "text/csv":
        numbers = csv.reader(io.StringIO(body.decode()))
        return [[float(cell) for cell in row] for row in numbers]
    if content_type == "application/x-parquet":
        import pyarrow.parquet as pq

        return pq.read_table(io.BytesIO(body)).to_pylist()
    return body.decode().splitlines()


def note(records):
    path = os.environ.get("COUNT_TO")
    if path:
        with lock, open(path, "a") as file:
            file.write(f"{len(records) if isinstance(records, list) else 1}\n")


@app.get("/ping")
def ping():
    return ""


@app.get("/execution-parameters")
def execution_parameters():
    answer = os.environ.get("PARAMETERS")
    return Response(answer, mimetype="application/json") if answer else ("", 404)


@app.post("/invocations")
def invocations():
    global busy
    body = request.get_data()
    if max_bytes and len(body) > max_bytes:
        return f"{len(body)} bytes are more than {max_bytes}", 413
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    with lock:
        busy -= 1
        if busy >= 0:
            return "busy", 503
    content_type = request.headers.get("Content-Type", "").split(";")[0]
    records = parse(body, content_type)
    note(records)
    one = isinstance(records, dict)
    records = [records] if one else records
    poisons = {record.get("poison") for record in records if isinstance(record, dict)}
    if "error" in poisons:
        return "internal trouble", 500
    try:
        answers = [score(record) for record in records]
    except ValueError as error:
        return str(error), 400
    if "short" in poisons:
        answers.pop()
    if content_type == "application/json":
        return Response(json.dumps(answers[0] if one else answers), mimetype=content_type)
    if request.headers.get("Accept", "").startswith("text/csv"):
        return Response("".join(f"{answer}\n" for answer in answers), mimetype="text/csv")
    text = "".join(json.dumps(answer) + "\n" for answer in answers)
    return Response(text, mimetype="application/jsonlines")


if __name__ == "__main__":
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)
