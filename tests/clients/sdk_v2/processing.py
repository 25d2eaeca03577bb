"""Processing jobs of three processors: `processing.py DATA SOURCE`."""

import json
import sys

import sagemaker
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.sklearn import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor

data, source = sys.argv[1:]
session = sagemaker.Session()
common = {
    "role": sagemaker.get_execution_role(), "instance_count": 1, "instance_type": "ml.m5.large",
    "sagemaker_session": session,
}
numbers = session.upload_data(data, key_prefix="numbers")
processors = {
    "script": ScriptProcessor(image_uri="python:3.11", command=["python3"], **common),
    "sklearn": SKLearnProcessor(framework_version="1.2-1", **common),
    "framework": FrameworkProcessor(SKLearn, framework_version="1.2-1", **common),
}
told = {}
for factor, (name, processor) in enumerate(processors.items(), start=2):
    code = {"code": "clean.py", "source_dir": source} if name == "framework" else {"code": f"{source}/clean.py"}
    processor.run(
        inputs=[ProcessingInput(source=numbers, destination="/opt/ml/processing/input/data")],
        outputs=[ProcessingOutput(output_name="doubled", source="/opt/ml/processing/output")],
        arguments=["--factor", str(factor)],
        # With logs the SDK looks for the job's end each 30 s.
        logs=name == "sklearn",
        **code,
    )
    described = processor.latest_job.describe()
    told[name] = {
        "status": described["ProcessingJobStatus"],
        "output": processor.latest_job.outputs[0].destination,
    }
print(json.dumps(told))
