"""A function by the SDK's helper, made, changed, called and deleted: `functions.py SCRIPT CHANGED ARCHIVE`."""

import json
import sys

import sagemaker
from sagemaker.lambda_helper import Lambda

script, changed, archive = sys.argv[1:]
session = sagemaker.Session()
common = {
    "function_name": "helper", "execution_role_arn": sagemaker.get_execution_role(), "session": session,
    "handler": "function.handler", "runtime": "python3.11", "timeout": 30,
}


def answer(function):
    return json.loads(function.invoke()["Payload"].read())


function = Lambda(script=script, environment={"Variables": {"WHO": "helper"}}, **common)
created = function.upsert()
answers = [answer(function)]
Lambda(script=changed, **common).upsert()
answers.append(answer(function))
Lambda(zipped_code_dir=archive, **common).update()
answers.append(answer(Lambda(function_arn=created["FunctionArn"], session=session)))
function.delete()
try:
    function.invoke()
except ValueError as error:
    answers.append(str(error))
print(json.dumps({"arn": created["FunctionArn"], "answers": answers}))
