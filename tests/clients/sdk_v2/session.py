"""Who and where a script of the SDK is that names no bucket and no role."""

import json

import sagemaker

session = sagemaker.Session()
bucket = session.default_bucket()
uploaded = session.upload_data(__file__, key_prefix="scripts")
print(json.dumps({
    "bucket": bucket,
    "again": sagemaker.Session().default_bucket(),
    "role": sagemaker.get_execution_role(),
    "account": session.account_id(),
    "uploaded": uploaded,
    "read": session.read_s3_file(bucket, "scripts/session.py") == open(__file__).read(),
}))
