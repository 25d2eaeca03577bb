"""Training jobs of estimators that end in all ways: `training.py DATA SOURCE`."""

import json
import sys

import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.sklearn import SKLearn

data, source = sys.argv[1:]
session = sagemaker.Session()
role = sagemaker.get_execution_role()


def estimator(entry_point, **settings):
    return SKLearn(
        entry_point=entry_point, source_dir=source, framework_version="1.2-1", py_version="py3", role=role,
        instance_count=1, instance_type="ml.m5.large", sagemaker_session=session, **settings,
    )


def described(estimator):
    return session.describe_training_job(estimator.latest_training_job.name)


endless = estimator("endless.py")
endless.fit(wait=False)
while described(endless)["SecondaryStatus"] != "Training":
    pass
endless.latest_training_job.stop()

failing = estimator("fails.py")
failing.fit(wait=False)
logistic = estimator(
    "train_sklearn.py",
    hyperparameters={"strength": 0.5, "penalty-name": "l2"},
    metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
)
logistic.fit({"train": session.upload_data(data, key_prefix="train")})

endless.latest_training_job.wait(logs=False)
try:
    failing.latest_training_job.wait(logs=False)
except UnexpectedStatusException as error:
    failure = str(error)
attached = SKLearn.attach(logistic.latest_training_job.name, sagemaker_session=session)
print(json.dumps({
    "stopped": described(endless)["TrainingJobStatus"],
    "failure": failure,
    "trained": described(logistic)["TrainingJobStatus"],
    "metrics": described(logistic)["FinalMetricDataList"],
    "job": logistic.latest_training_job.name,
    "strength": attached.hyperparameters()["strength"],
    "model": attached.model_data,
}, default=str))
