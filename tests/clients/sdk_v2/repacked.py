"""A model with a script of its own, which a pipeline packs with what it has trained: `repacked.py DATA ROWS SOURCE`."""

import json
import sys

import sagemaker
from sagemaker.inputs import TrainingInput
from sagemaker.transformer import Transformer
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import TrainingStep, TransformStep
from sagemaker.xgboost import XGBoost, XGBoostModel

data, rows, source = sys.argv[1:]
session, role = PipelineSession(), sagemaker.get_execution_role()
given = session.upload_data(data, key_prefix="repacked/train")
score = session.upload_data(rows, key_prefix="repacked/score")
estimator = XGBoost(
    entry_point="train_xgboost.py", source_dir=source, framework_version="1.7-1", role=role, instance_count=1,
    instance_type="ml.m5.large", hyperparameters={"max_depth": 3, "num_round": 5}, sagemaker_session=session,
)
train = TrainingStep(name="Train", step_args=estimator.fit({"train": TrainingInput(given, content_type="text/csv")}))
model = XGBoostModel(
    model_data=train.properties.ModelArtifacts.S3ModelArtifacts, role=role, entry_point="serve_xgboost.py",
    source_dir=source, framework_version="1.7-1", enable_network_isolation=True, sagemaker_session=session,
)
register = ModelStep(
    name="Register",
    step_args=model.register(
        content_types=["text/csv"], response_types=["text/csv"], inference_instances=["ml.m5.large"],
        transform_instances=["ml.m5.large"], model_package_group_name="repacked",
    ),
)
create = ModelStep(name="Create", step_args=model.create(instance_type="ml.m5.large"))
transformer = Transformer(
    model_name=create.properties.ModelName, instance_count=1, instance_type="ml.m5.large", accept="text/csv",
    assemble_with="Line", output_path=f"s3://{session.default_bucket()}/repacked/scored", sagemaker_session=session,
)
transform = TransformStep(
    name="Score", step_args=transformer.transform(data=score, content_type="text/csv", split_type="Line")
)
pipeline = Pipeline(name="repacked", steps=[train, register, create, transform], sagemaker_session=session)
pipeline.upsert(role_arn=role)
execution = pipeline.start()
try:
    execution.wait(delay=1, max_attempts=250)
except Exception as error:
    print(error)
described = execution.describe()
print(json.dumps({
    "status": described["PipelineExecutionStatus"],
    "reason": described.get("FailureReason"),
    "steps": sorted(step["StepName"] for step in execution.list_steps()),
    "scores": f"s3://{session.default_bucket()}/repacked/scored/{score.rsplit('/', 1)[1]}.out",
}))
