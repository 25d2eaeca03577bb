"""The same job in one call: Parquet in, Parquet with the predictions out, bad rows set apart."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import sagemaker
from sagemaker.model import Model

session = sagemaker.Session()
bucket = session.default_bucket()
s3 = session.boto_session.client("s3")

model = Model(
    image_uri="246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
    model_data=f"s3://{bucket}/models/delay/model.tar.gz",
    role=sagemaker.get_execution_role(),
    sagemaker_session=session,
)
transformer = model.transformer(
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"s3://{bucket}/scored",
    env={
        "BESSEMER_OUTPUT_FORMAT": "parquet",
        "BESSEMER_JOIN": "input",
        "BESSEMER_MAX_REJECTS": "1%",
    },
)
transformer.transform(f"s3://{bucket}/flights/", content_type="application/x-parquet", logs=False)

rejects = []
for entry in s3.list_objects_v2(Bucket=bucket, Prefix="scored/_rejects/").get("Contents", []):
    body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
    table = pq.ParquetFile(pa.BufferReader(body)).read(columns=["file", "row", "message"])
    rejects += table.to_pylist()
for reject in rejects:
    print("{file}, row {row}: {message}".format(**reject))
print(json.dumps({
    "output": f"s3://{bucket}/scored/",
    "lost_rows": [[reject["file"], reject["row"]] for reject in rejects],
}))
