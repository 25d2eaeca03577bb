"""A model and its batch transform, the way of the SDK's documentation: `transform.py MODEL DATA`."""

import json
import sys

import sagemaker
from sagemaker.model import Model
from sagemaker.transformer import Transformer

archive, data = sys.argv[1:]
session = sagemaker.Session()
model = Model(
    image_uri="246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
    model_data=session.upload_data(archive, key_prefix="models"),
    role=sagemaker.get_execution_role(),
    sagemaker_session=session,
)
transformer = model.transformer(
    instance_count=1,
    instance_type="ml.m5.large",
    strategy="MultiRecord",
    assemble_with="Line",
    accept="text/csv",
    output_path=f"s3://{session.default_bucket()}/scores",
    max_concurrent_transforms=4,
    max_payload=6,
    tags=[{"Key": "team", "Value": "search"}],
)
source = session.upload_data(data, key_prefix="data")
transformer.transform(
    source, content_type="text/csv", split_type="Line", join_source="Input", wait=True, logs=True
)

attached = Transformer.attach(transformer.latest_transform_job.name, sagemaker_session=session)
described = session.describe_transform_job(attached.latest_transform_job.name)
transformer.delete_model()
print(json.dumps({
    "job": described["TransformJobName"],
    "status": described["TransformJobStatus"],
    "arn": described["TransformJobArn"],
    "scores": attached.output_path + "/" + source.rsplit("/", 1)[1] + ".out",
    "attached": {
        "model": attached.model_name,
        "strategy": attached.strategy,
        "max_payload": attached.max_payload,
        "max_concurrent_transforms": attached.max_concurrent_transforms,
        "accept": attached.accept,
        "instance_type": attached.instance_type,
    },
    "model": transformer.model_name,
}))
