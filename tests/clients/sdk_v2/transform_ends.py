"""Transforms that do not end well: `transform_ends.py MODEL WRONG LONG`."""

import json
import sys

import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.model import Model

archive, wrong, long = sys.argv[1:]
session = sagemaker.Session()
model = Model(
    image_uri="xgboost",
    model_data=session.upload_data(archive, key_prefix="models"),
    role=sagemaker.get_execution_role(),
    sagemaker_session=session,
)


def started(data):
    transformer = model.transformer(1, "ml.m5.large", assemble_with="Line")
    source = session.upload_data(data, key_prefix="data")
    transformer.transform(source, content_type="text/csv", split_type="Line", wait=False)
    return transformer


failing, stopped = started(wrong), started(long)
stopped.stop_transform_job(wait=False)
try:
    failing.wait(logs=False)
except UnexpectedStatusException as error:
    failure = {"status": error.actual_status, "message": str(error)}
# The SDK only warns of a job that was stopped.
stopped.wait(logs=False)
name = stopped.latest_transform_job.name
print(json.dumps({
    "failure": failure,
    "stopped": session.describe_transform_job(name)["TransformJobStatus"],
}))
