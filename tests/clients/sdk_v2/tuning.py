"""A search over training jobs and a pipeline with one: `tuning.py DATA SOURCE`."""

import json
import sys

import sagemaker
from sagemaker.sklearn import SKLearn
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import TuningStep

data, source = sys.argv[1:]


def tuner(session, **settings):
    estimator = SKLearn(
        entry_point="train_sklearn.py", source_dir=source, framework_version="1.2-1", py_version="py3",
        role=sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.large",
        sagemaker_session=session, environment={"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "512MiB"},
    )
    ranges = {
        "strength": ContinuousParameter(1e-6, 10, scaling_type="Logarithmic"),
        "penalty-name": CategoricalParameter(["l2", "none"]),
    }
    usual = {"strategy": "Random", "max_jobs": 3, "max_parallel_jobs": 2, "random_seed": 5}
    return HyperparameterTuner(
        estimator, "accuracy", ranges, [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
        base_tuning_job_name="search", **(usual | settings),
    )


session = sagemaker.Session()
train = session.upload_data(data, key_prefix="train")
search = tuner(session)
search.fit({"train": train}, wait=False)
search.wait()
table = search.analytics().dataframe()
best = search.best_training_job()
told = {
    "name": search.latest_tuning_job.name,
    "status": search.describe()["HyperParameterTuningJobStatus"],
    "best": best,
    "columns": sorted(table.columns),
    "by_table": table.sort_values("FinalObjectiveValue", ascending=False)["TrainingJobName"].iloc[0],
    "values": table["FinalObjectiveValue"].tolist(),
    "strength": search.best_estimator().hyperparameters()["strength"],
}
told["attached"] = HyperparameterTuner.attach(search.latest_tuning_job.name, sagemaker_session=session).best_training_job()
try:
    tuner(session, strategy="Bayesian").fit({"train": train}, wait=False)
except Exception as error:
    told["refused"] = str(error)

in_pipeline = PipelineSession()
step = TuningStep(name="Tune", step_args=tuner(in_pipeline).fit({"train": train}))
uri = step.get_top_model_s3_uri(top_k=0, s3_bucket=in_pipeline.default_bucket())
pipeline = Pipeline(name="tuning", steps=[step, FailStep(name="Say", error_message=uri)], sagemaker_session=in_pipeline)
pipeline.upsert(role_arn=sagemaker.get_execution_role())
execution = pipeline.start()
try:
    execution.wait(delay=1, max_attempts=200)
except Exception as error:
    told["ended"] = type(error).__name__
told["steps"] = {one["StepName"]: one["StepStatus"] for one in execution.list_steps()}
told["said"] = next(one["FailureReason"] for one in execution.list_steps() if one["StepName"] == "Say")
print(json.dumps(told))
