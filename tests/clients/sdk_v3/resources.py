"""A model and its transform jobs by version 3's resources: `resources.py MODEL DATA WRONG`."""

import json
import sys

from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Model, TransformJob
from sagemaker.core.shapes import (
    ContainerDefinition,
    DataProcessing,
    TransformDataSource,
    TransformInput,
    TransformOutput,
    TransformResources,
    TransformS3DataSource,
)

archive, data, wrong = sys.argv[1:]
session = Session()
bucket = session.default_bucket()
model = Model.create(
    model_name="churn",
    primary_container=ContainerDefinition(
        image="xgboost", model_data_url=session.upload_data(archive, key_prefix="models")
    ),
    execution_role_arn=get_execution_role(),
)


def transform(name, source, **settings):
    source = TransformS3DataSource(s3_data_type="S3Prefix", s3_uri=source)
    return TransformJob.create(
        transform_job_name=name,
        model_name=model.model_name,
        transform_input=TransformInput(
            data_source=TransformDataSource(s3_data_source=source), content_type="text/csv", split_type="Line"
        ),
        transform_output=TransformOutput(s3_output_path=f"s3://{bucket}/scores/{name}", assemble_with="Line"),
        transform_resources=TransformResources(instance_type="ml.m5.large", instance_count=1),
        **settings,
    )


scoring = transform(
    "scoring",
    session.upload_data(data, key_prefix="data"),
    data_processing=DataProcessing(join_source="Input"),
    max_payload_in_mb=6,
    tags=[{"key": "team", "value": "search"}],
)
failing = transform("failing", session.upload_data(wrong, key_prefix="data"))
scoring.wait(poll=1)
try:
    failing.wait(poll=1)
except FailedStatusError as error:
    failure = str(error)
found = TransformJob.get("scoring")
listed = {job.transform_job_name: job.transform_job_status for job in TransformJob.get_all(name_contains="ing")}
kept = Model.get("churn").primary_container.image
model.delete()
print(json.dumps({
    "status": scoring.transform_job_status,
    "arn": scoring.transform_job_arn,
    "output": found.transform_output.s3_output_path,
    "max_payload": found.max_payload_in_mb,
    "listed": listed,
    "failure": failure,
    "image": kept,
    "models": [one.model_name for one in Model.get_all()],
}))
