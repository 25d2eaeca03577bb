"""A pipeline by the workflow modules of version 3: `workflow.py DATA SOURCE`."""

import json
import sys

from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

data, source = sys.argv[1:]
session = PipelineSession()
role = get_execution_role()
bucket = session.default_bucket()
train_data = session.upload_data(data, key_prefix="train")
limit = ParameterFloat(name="Limit", default_value=10.0)
processor = ScriptProcessor(
    image_uri="python:3.11", command=["python3"], role=role, instance_count=1, instance_type="ml.m5.large",
    sagemaker_session=session, env={"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
)


def output(name):
    s3 = ProcessingS3Output(
        s3_uri=f"s3://{bucket}/{name}", local_path=f"/opt/ml/processing/{name}", s3_upload_mode="EndOfJob"
    )
    return ProcessingOutput(output_name=name, s3_output=s3)


cache = CacheConfig(enable_caching=True, expire_after="P30D")
prepare = ProcessingStep(
    name="Prepare", cache_config=cache,
    step_args=processor.run(
        code=f"{source}/count.py", arguments=["--count", "4"], outputs=[output("numbers")]
    ),
)
numbers = ProcessingS3Input(
    s3_uri=prepare.properties.ProcessingOutputConfig.Outputs["numbers"].S3Output.S3Uri,
    local_path="/opt/ml/processing/numbers", s3_data_type="S3Prefix", s3_input_mode="File",
)
report = PropertyFile(name="Report", output_name="report", path="report.json")
measure = ProcessingStep(
    name="Measure", cache_config=cache, property_files=[report],
    step_args=processor.run(
        code=f"{source}/measure.py", inputs=[ProcessingInput(input_name="numbers", s3_input=numbers)],
        outputs=[output("report")],
    ),
)
trainer = ModelTrainer(
    training_image="246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    source_code=SourceCode(source_dir=source, entry_script="train_sklearn.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1), base_job_name="logistic",
    hyperparameters={"strength": 0.5, "penalty-name": "l2"}, sagemaker_session=session, role=role,
)
train = TrainingStep(
    name="Train",
    step_args=trainer.train(input_data_config=[InputData(channel_name="train", data_source=train_data)]),
)
small = ConditionLessThanOrEqualTo(
    left=JsonGet(step_name=measure.name, property_file=report, json_path="total.value"), right=limit
)
check = ConditionStep(
    name="Check", conditions=[small], if_steps=[train],
    else_steps=[FailStep(name="TooLarge", error_message=Join(on=" ", values=["total above", limit]))],
)
pipeline = Pipeline(name="third", parameters=[limit], steps=[prepare, measure, check], sagemaker_session=session)
told = {"created": pipeline.upsert(role_arn=role)["PipelineArn"]}
told["updated"] = pipeline.upsert(role_arn=role)["PipelineArn"]
first = pipeline.start(execution_display_name="first")
first.wait(delay=1, max_attempts=200)
told["status"] = first.describe()["PipelineExecutionStatus"]
steps = {step["StepName"]: step for step in first.list_steps()}
told["steps"] = {name: step["StepStatus"] for name, step in steps.items()}
told["job"] = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
again = pipeline.start(parameters={"Limit": 5.0})
try:
    again.wait(delay=1, max_attempts=200)
except Exception as error:
    told["error"] = type(error).__name__
told["reason"] = again.describe()["FailureReason"]
hits = [step for step in again.list_steps() if "CacheHitResult" in step]
told["hits"] = sorted(step["StepName"] for step in hits)
told["parameters"] = again.list_parameters()["PipelineParameters"]
told["executions"] = len(pipeline.list_executions()["PipelineExecutionSummaries"])
pipeline.delete()
print(json.dumps(told))
