"""Batch inference over Parquet in five steps around a Batch Transform, as teams build it on SageMaker.

1. Cut the Parquet files to small files of JSON Lines, which is what the job reads.
2. List them in a manifest and transform them.
3. One bad row has failed its whole file: explode the files without an output to a file a row.
4. Transform these.
5. Merge the outputs with the rows they belong to, and write Parquet.
"""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.model import Model

ROWS_A_FILE = 100
FEATURES = [
    "month", "weekday", "sched_dep", "sched_arr", "dep_delay", "distance", "carrier_code", "origin_code",
]
# SageMaker refuses a job where the product of both is above 100 MB.
MAX_PAYLOAD_IN_MB, MAX_CONCURRENT_TRANSFORMS = 6, 16
assert MAX_PAYLOAD_IN_MB * MAX_CONCURRENT_TRANSFORMS <= 100
# What stands for the answer of a row that has none.
LOST = '{"prediction": null}'

session = sagemaker.Session()
bucket = session.default_bucket()
s3 = session.boto_session.client("s3")


def keys(prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def read(key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def upload(files):
    """Puts texts by key, several at once."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda file: s3.put_object(Bucket=bucket, Key=file[0], Body=file[1].encode()), files.items()))


def cut(tables, rows_a_file):
    """The rows of `tables` as JSON Lines, by the name of the file that takes them."""
    return {
        f"{name}-{start:05}.jsonl": "".join(
            json.dumps({feature: row[feature] for feature in FEATURES}) + "\n"
            for row in table.slice(start, rows_a_file).to_pylist()
        )
        for name, table in tables.items()
        for start in range(0, table.num_rows, rows_a_file)
    }


def transform(model, files, stage):
    """Transforms `files`; returns the answers, by file, of those that were answered."""
    source, output = f"wix/{stage}/in/", f"wix/{stage}/out"
    upload({source + name: text for name, text in files.items()})
    manifest = f"wix/{stage}/manifest.json"
    upload({manifest: json.dumps([{"prefix": f"s3://{bucket}/{source}"}, *files])})
    transformer = model.transformer(
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="MultiRecord",
        assemble_with="Line",
        accept="application/jsonlines",
        output_path=f"s3://{bucket}/{output}",
        max_payload=MAX_PAYLOAD_IN_MB,
        max_concurrent_transforms=MAX_CONCURRENT_TRANSFORMS,
    )
    try:
        transformer.transform(
            f"s3://{bucket}/{manifest}",
            data_type="ManifestFile",
            content_type="application/jsonlines",
            split_type="Line",
            logs=False,
        )
    except UnexpectedStatusException as error:
        print(error)
    answered = [key for key in keys(output + "/") if key.endswith(".out")]
    with ThreadPoolExecutor(8) as threads:
        texts = threads.map(read, answered)
    names = [key.removeprefix(output + "/").removesuffix(".out") for key in answered]
    return {name: text.decode().splitlines() for name, text in zip(names, texts)}


tables = {
    key.removeprefix("flights/").removesuffix(".parquet"): pq.read_table(pa.BufferReader(read(key)))
    for key in keys("flights/")
}
model = Model(
    image_uri="246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
    model_data=f"s3://{bucket}/models/delay/model.tar.gz",
    role=sagemaker.get_execution_role(),
    sagemaker_session=session,
)

files = cut(tables, ROWS_A_FILE)
answers = transform(model, files, "first")
if not answers:
    raise SystemExit("no file has an output: the job itself is wrong, and no row of it")
failed = [name for name in files if name not in answers]
exploded = {
    f"{name}/{row:05}.jsonl": line + "\n"
    for name in failed
    for row, line in enumerate(files[name].splitlines())
}
retried = transform(model, exploded, "second") if exploded else {}
lost = [name for name in exploded if name not in retried]

for name, table in tables.items():
    predictions = []
    for start in range(0, table.num_rows, ROWS_A_FILE):
        file = f"{name}-{start:05}.jsonl"
        rows = min(ROWS_A_FILE, table.num_rows - start)
        singles = (retried.get(f"{file}/{row:05}.jsonl", [LOST])[0] for row in range(rows))
        predictions += answers.get(file) or singles
    column = pa.array([json.loads(line)["prediction"] for line in predictions], pa.float32())
    merged = io.BytesIO()
    pq.write_table(table.append_column("prediction", column), merged)
    s3.put_object(Bucket=bucket, Key=f"scored-by-wix/{name}.parquet", Body=merged.getvalue())

print(json.dumps({
    "output": f"s3://{bucket}/scored-by-wix/",
    "files": len(files), "failed_files": len(failed), "retried_rows": len(exploded), "lost_rows": lost,
}))
