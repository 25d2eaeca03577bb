"""The age of abalones: prepare, train, evaluate and, if the model is good enough, register and score.

    pipeline.py [--limit MSE]
"""

import argparse
import json
from pathlib import Path

import sagemaker
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.transformer import Transformer
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TransformStep
from sagemaker.xgboost.estimator import XGBoost

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "source"


def build(session, role, data_uri):
    data = ParameterString(name="InputData", default_value=data_uri)
    limit = ParameterFloat(name="MseThreshold", default_value=6.0)
    approval = ParameterString(name="ModelApprovalStatus", default_value="PendingManualApproval")
    cache = CacheConfig(enable_caching=True, expire_after="P30D")
    machine = {"role": role, "instance_count": 1, "instance_type": "ml.m5.large", "sagemaker_session": session}

    sklearn = SKLearnProcessor(framework_version="1.2-1", **machine)
    prepare = ProcessingStep(
        name="AbalonePrepare",
        cache_config=cache,
        step_args=sklearn.run(
            code=str(SOURCE / "prepare.py"),
            inputs=[ProcessingInput(source=data, destination="/opt/ml/processing/input")],
            outputs=[
                ProcessingOutput(output_name=name, source=f"/opt/ml/processing/{name}")
                for name in ("train", "validation", "test", "batch")
            ],
        ),
    )

    def prepared(name):
        return prepare.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri

    xgboost = XGBoost(
        entry_point="train.py", source_dir=str(SOURCE), framework_version="1.7-1",
        hyperparameters={"max_depth": 3, "eta": 0.1, "num_round": 60}, **machine,
    )
    channels = {
        name: TrainingInput(s3_data=prepared(name), content_type="text/csv") for name in ("train", "validation")
    }
    train = TrainingStep(name="AbaloneTrain", cache_config=cache, step_args=xgboost.fit(channels))
    artifacts = train.properties.ModelArtifacts.S3ModelArtifacts
    image = xgboost.training_image_uri()

    report = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
    evaluate = ProcessingStep(
        name="AbaloneEvaluate",
        cache_config=cache,
        property_files=[report],
        step_args=ScriptProcessor(image_uri=image, command=["python3"], **machine).run(
            code=str(SOURCE / "evaluate.py"),
            inputs=[
                ProcessingInput(source=artifacts, destination="/opt/ml/processing/model"),
                ProcessingInput(source=prepared("test"), destination="/opt/ml/processing/test"),
            ],
            outputs=[ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/evaluation")],
        ),
    )

    model = Model(image_uri=image, model_data=artifacts, role=role, sagemaker_session=session)
    evaluation = evaluate.properties.ProcessingOutputConfig.Outputs["evaluation"].S3Output.S3Uri
    statistics = MetricsSource(
        s3_uri=Join(on="/", values=[evaluation, "evaluation.json"]), content_type="application/json"
    )
    register = ModelStep(
        name="AbaloneRegister",
        step_args=model.register(
            content_types=["text/csv"], response_types=["text/csv"],
            inference_instances=["ml.m5.large"], transform_instances=["ml.m5.large"],
            model_package_group_name="Abalone", approval_status=approval,
            model_metrics=ModelMetrics(model_statistics=statistics),
        ),
    )
    create = ModelStep(name="AbaloneCreate", step_args=model.create(instance_type="ml.m5.large"))
    transformer = Transformer(
        model_name=create.properties.ModelName, instance_type="ml.m5.large", instance_count=1,
        output_path=f"s3://{session.default_bucket()}/abalone/scored",
        accept="text/csv", assemble_with="Line", sagemaker_session=session,
    )
    score = TransformStep(
        name="AbaloneTransform",
        cache_config=cache,
        step_args=transformer.transform(data=prepared("batch"), content_type="text/csv", split_type="Line"),
    )
    is_good = ConditionLessThanOrEqualTo(
        left=JsonGet(step_name=evaluate.name, property_file=report, json_path="regression_metrics.mse.value"),
        right=limit,
    )
    fail = FailStep(
        name="AbaloneFail", error_message=Join(on=" ", values=["Execution failed due to MSE >", limit])
    )
    check = ConditionStep(
        name="AbaloneCheck", conditions=[is_good], if_steps=[register, create, score], else_steps=[fail]
    )
    return Pipeline(
        name="AbalonePipeline", parameters=[data, limit, approval],
        steps=[prepare, train, evaluate, check], sagemaker_session=session,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=float, help="the mean squared error that is still good enough")
    arguments = parser.parse_args()
    session, role = PipelineSession(), sagemaker.get_execution_role()
    data_uri = session.upload_data(str(FOLDER / "data" / "abalone.csv"), key_prefix="abalone/input")
    pipeline = build(session, role, data_uri)
    pipeline.upsert(role_arn=role)
    given = {} if arguments.limit is None else {"MseThreshold": arguments.limit}
    execution = pipeline.start(parameters=given)
    try:
        execution.wait(delay=1, max_attempts=600)
    except Exception as error:
        print(error)
    described = execution.describe()
    steps = {}
    for step in reversed(execution.list_steps()):
        source = step.get("CacheHitResult", {}).get("SourcePipelineExecutionArn")
        steps[step["StepName"]] = {"status": step["StepStatus"], "cached": source, "metadata": step["Metadata"]}
        note = f"of {source}" if source else f"{(step['EndTime'] - step['StartTime']).total_seconds():.1f} s"
        print(f"{step['StepStatus']:<10} {step['StepName']:<32} {note}")
    print(json.dumps({
        "execution": execution.arn,
        "status": described["PipelineExecutionStatus"],
        "reason": described.get("FailureReason"),
        "steps": steps,
        "scores": f"s3://{session.default_bucket()}/abalone/scored/batch.csv.out",
    }))
