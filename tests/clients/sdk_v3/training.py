"""Training jobs by `ModelTrainer`: `training.py DATA SOURCE`."""

import json
import sys

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import TrainingJob
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

data, source = sys.argv[1:]
session = Session()
train = session.upload_data(data, key_prefix="train")


def trainer(script, **settings):
    return ModelTrainer(
        training_image="246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        source_code=SourceCode(source_dir=source, entry_script=script),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        base_job_name=script.split(".")[0].replace("_", "-"),
        **settings,
    )


failing = trainer("fails.py")
try:
    failing.train(logs=False)
except FailedStatusError as error:
    failure = str(error)

logistic = trainer("train_sklearn.py", hyperparameters={"strength": 0.5, "penalty-name": "l2"})
logistic.train(input_data_config=[InputData(channel_name="train", data_source=train)], logs=True)
job = TrainingJob.get(logistic._latest_training_job.training_job_name)
print(json.dumps({
    "failure": failure,
    "status": job.training_job_status,
    "secondary": [one.status for one in job.secondary_status_transitions],
    "hyperparameters": job.hyper_parameters,
    "model": job.model_artifacts.s3_model_artifacts,
}))
