"""Models of four kinds are trained and score rows: `scoring.py DATA ROWS SOURCE`."""

import json
import sys

import sagemaker
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.sklearn import SKLearn, SKLearnModel
from sagemaker.xgboost import XGBoost, XGBoostModel

data, rows, source = sys.argv[1:]
session = sagemaker.Session()
role = sagemaker.get_execution_role()
train = session.upload_data(data, key_prefix="train")
score = session.upload_data(rows, key_prefix="score")
common = {"role": role, "instance_count": 1, "instance_type": "ml.m5.large", "sagemaker_session": session}
image = image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
estimators = {
    "sklearn": SKLearn(
        entry_point="train_sklearn.py", source_dir=source, framework_version="1.2-1", py_version="py3",
        hyperparameters={"strength": 0.5}, **common,
    ),
    "script": XGBoost(
        entry_point="train_xgboost.py", source_dir=source, framework_version="1.7-1",
        hyperparameters={"max_depth": 3, "num_round": 5}, **common,
    ),
    # The image's own algorithm.
    "algorithm": Estimator(
        image, hyperparameters={"objective": "binary:logistic", "max_depth": 3, "num_round": 5}, **common
    ),
}
for estimator in estimators.values():
    estimator.fit({"train": TrainingInput(train, content_type="text/csv")}, wait=False)
for estimator in estimators.values():
    estimator.latest_training_job.wait(logs=False)

models = {
    "sklearn": SKLearnModel(
        model_data=estimators["sklearn"].model_data, role=role, entry_point="train_sklearn.py", source_dir=source,
        framework_version="1.2-1", py_version="py3", sagemaker_session=session,
    ),
    "xgboost": XGBoostModel(
        model_data=estimators["script"].model_data, role=role, entry_point="serve_xgboost.py", source_dir=source,
        framework_version="1.7-1", sagemaker_session=session,
    ),
    # What a script has trained is what the image itself can read.
    "script": sagemaker.Model(image, estimators["script"].model_data, role, sagemaker_session=session),
    "algorithm": estimators["algorithm"],
}
transformers = {
    name: model.transformer(1, "ml.m5.large", accept="text/csv", assemble_with="Line")
    for name, model in models.items()
}
for transformer in transformers.values():
    transformer.transform(score, content_type="text/csv", split_type="Line", wait=False)
for transformer in transformers.values():
    transformer.wait(logs=False)
file = score.rsplit("/", 1)[1] + ".out"
print(json.dumps({name: f"{transformer.output_path}/{file}" for name, transformer in transformers.items()}))
