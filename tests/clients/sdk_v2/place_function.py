"""Puts a function where a step looks for it, as the SDK does: `place_function.py BASE STEP FOLDER`."""

import sys

import sagemaker
from sagemaker.remote_function.core.pipeline_variables import Context, _ExecutionVariable
from sagemaker.remote_function.core.stored_function import StoredFunction
from sagemaker.remote_function.job import _prepare_and_upload_runtime_scripts
from sagemaker.s3 import S3Uploader

base, step, folder = sys.argv[1:]
session = sagemaker.Session()


def told(execution, factor=3):
    print("called by", execution)
    return [len(execution), factor * 14]


stored = StoredFunction(session, base, None, Context(step_name=step, func_step_s3_dir=folder))
stored.save(told, _ExecutionVariable("PipelineExecutionId"), factor=3)
_prepare_and_upload_runtime_scripts(None, base, None, session)
packages = f"{base}/{step}/{folder}/pre_exec_script_and_dependencies/sagemaker_requirements_kc0e3psa.txt"
S3Uploader.upload_string_as_file_body("sagemaker>=2.256.0,<3.0.0\n", packages, sagemaker_session=session)
