"""SageMaker's API of training and processing jobs, driven by boto3."""

import contextlib

import pytest
from botocore.exceptions import ClientError, WaiterError

from kit import platform

ACCOUNT = f"arn:aws:sagemaker:{platform.REGION}:000000000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("sagemaker") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client("sagemaker")


def training(name, **changes):
    whole = {
        "TrainingJobName": name,
        "RoleArn": platform.ROLE,
        "AlgorithmSpecification": {"TrainingImage": "no-such-image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://data/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return whole | changes


def processing(name, **changes):
    whole = {
        "ProcessingJobName": name,
        "RoleArn": platform.ROLE,
        "AppSpecification": {"ImageUri": "no-such-image", "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
        },
    }
    return whole | changes


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def contains(whole, part):
    """Whether `whole` says all that `part` says."""
    if isinstance(part, dict):
        return all(name in whole and contains(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


# What Create was given comes back


def test_a_training_job_tells_all_that_it_was_given(client):
    given = training(
        "train-echo",
        HyperParameters={"depth": "3"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in"}},
                "ContentType": "text/csv",
            }
        ],
        Environment={"A": "b"},
        RetryStrategy={"MaximumRetryAttempts": 2},
        VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    )
    arn = client.create_training_job(**given)["TrainingJobArn"]
    assert arn == f"{ACCOUNT}:training-job/train-echo"
    described = client.describe_training_job(TrainingJobName="train-echo")
    assert contains(described, given)
    assert described["TrainingJobArn"] == arn
    assert described["OutputDataConfig"]["KmsKeyId"] == ""
    assert described["EnableManagedSpotTraining"] is False
    source = described["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert source["S3DataDistributionType"] == "FullyReplicated"
    artifacts = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifacts == "s3://data/models/train-echo/output/model.tar.gz"
    assert described["SecondaryStatusTransitions"][0]["Status"] == "Starting"


def test_a_processing_job_tells_all_that_it_was_given(client):
    given = processing(
        "process-echo",
        ProcessingInputs=[
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": "s3://data/code", "LocalPath": "/opt/ml/processing/input", "S3DataType": "S3Prefix",
                },
            }
        ],
        ProcessingOutputConfig={
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": "s3://data/out", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        NetworkConfig={"EnableNetworkIsolation": True},
    )
    arn = client.create_processing_job(**given)["ProcessingJobArn"]
    assert arn == f"{ACCOUNT}:processing-job/process-echo"
    described = client.describe_processing_job(ProcessingJobName="process-echo")
    assert contains(described, given)
    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert described["ProcessingInputs"][0]["S3Input"]["S3InputMode"] == "File"
    assert described["ProcessingOutputConfig"]["KmsKeyId"] == ""


# What can't be


def test_names_are_taken_once(client):
    client.create_training_job(**training("taken"))
    code, message = refusal(client.create_training_job, **training("taken"))
    assert code == "ResourceInUse"
    assert message == (
        "Training job names must be unique within an AWS account and region, and a training job "
        f"with this name already exists ({ACCOUNT}:training-job/taken)"
    )
    client.create_processing_job(**processing("taken"))
    code, message = refusal(client.create_processing_job, **processing("taken"))
    assert code == "ResourceInUse"
    assert message == (
        "Job name must be unique within an AWS account and region, and a job with this name "
        f"already exists ({ACCOUNT}:processing-job/taken)"
    )


def test_what_is_not_there_is_refused_in_awss_words(client):
    missing = ("ValidationException", "Requested resource not found.")
    assert refusal(client.describe_training_job, TrainingJobName="nothing") == missing
    assert refusal(client.stop_training_job, TrainingJobName="nothing") == missing
    missing = ("ValidationException", "Could not find requested job with name: nothing")
    assert refusal(client.describe_processing_job, ProcessingJobName="nothing") == missing
    assert refusal(client.stop_processing_job, ProcessingJobName="nothing") == missing


def test_what_can_not_be_honoured_is_refused(client):
    def training_refused(**changes):
        code, message = refusal(client.create_training_job, **training("refused", **changes))
        assert code == "ValidationException"
        return message

    def processing_refused(**changes):
        code, message = refusal(client.create_processing_job, **processing("refused", **changes))
        assert code == "ValidationException"
        return message

    def channel(source, **members):
        return [{"ChannelName": "train", "DataSource": source} | members]

    s3 = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in"}}
    efs = {
        "FileSystemDataSource": {
            "FileSystemId": "fs-12345678", "FileSystemAccessMode": "ro",
            "FileSystemType": "EFS", "DirectoryPath": "/",
        }
    }
    pipe = {"TrainingImage": "image", "TrainingInputMode": "Pipe"}
    assert "Pipe is not supported" in training_refused(AlgorithmSpecification=pipe)
    assert "Pipe is not supported" in training_refused(InputDataConfig=channel(s3, InputMode="Pipe"))
    assert "FileSystemDataSource" in training_refused(InputDataConfig=channel(efs))
    named = {"AlgorithmName": "mine", "TrainingInputMode": "File"}
    assert "AlgorithmName is not supported" in training_refused(AlgorithmSpecification=named)
    assert "MaxWaitTimeInSeconds" in training_refused(EnableManagedSpotTraining=True)
    unknown = {"InstanceType": "ml.m5.huge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    message = training_refused(ResourceConfig=unknown)
    assert "Value 'ml.m5.huge' at 'resourceConfig.instanceType' failed to satisfy constraint" in message
    assert "Member must satisfy enum value set: [ml.m4.xlarge, " in message
    athena = {
        "Catalog": "c", "Database": "d", "QueryString": "select 1",
        "OutputS3Uri": "s3://data/x", "OutputFormat": "PARQUET",
    }
    dataset = [{"InputName": "in", "DatasetDefinition": {"AthenaDatasetDefinition": athena}}]
    assert "DatasetDefinition of input in is not supported" in processing_refused(ProcessingInputs=dataset)
    assert client.list_training_jobs(NameContains="refused")["TrainingJobSummaries"] == []
    assert client.list_processing_jobs(NameContains="refused")["ProcessingJobSummaries"] == []


# How jobs end


def ended(client, kind, name):
    """Waits for a job's end and returns what Describe says."""
    waiter = client.get_waiter(f"{kind.lower()}_job_completed_or_stopped")
    with contextlib.suppress(WaiterError):
        waiter.wait(WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}, **{f"{kind}JobName": name})
    return getattr(client, f"describe_{kind.lower()}_job")(**{f"{kind}JobName": name})


def test_a_job_that_can_not_run_fails_by_its_requests_fault(client):
    client.create_training_job(**training("fails"))
    described = ended(client, "Training", "fails")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: ")
    transitions = described["SecondaryStatusTransitions"]
    assert [step["Status"] for step in transitions] == ["Starting", "Failed"]
    assert transitions[-1]["StatusMessage"] == "Training job failed"
    assert transitions[0]["EndTime"] == transitions[1]["StartTime"] == described["TrainingEndTime"]
    assert described["CreationTime"] <= described["TrainingEndTime"] == described["LastModifiedTime"]
    client.create_processing_job(**processing("fails"))
    described = ended(client, "Processing", "fails")
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: ")
    assert described["CreationTime"] <= described["ProcessingEndTime"]


def test_a_job_that_has_ended_can_be_neither_stopped_nor_updated(client):
    client.create_training_job(**training("over"))
    client.create_processing_job(**processing("over"))
    ended(client, "Training", "over")
    ended(client, "Processing", "over")
    words = "The request was rejected because the {} job is in status Failed."
    rejected = ("ValidationException", words.format("training"))
    assert refusal(client.stop_training_job, TrainingJobName="over") == rejected
    update = {"ProfilerConfig": {"DisableProfiler": True}}
    assert refusal(client.update_training_job, TrainingJobName="over", **update) == rejected
    rejected = ("ValidationException", words.format("processing"))
    assert refusal(client.stop_processing_job, ProcessingJobName="over") == rejected


# Lists, tags, searches


def names(entries, kind="Training"):
    return [entry[f"{kind}JobName"] for entry in entries]


@pytest.mark.parametrize("kind, request_of", [("Training", training), ("Processing", processing)])
def test_lists_are_filtered_sorted_and_paged(client, kind, request_of):
    create = getattr(client, f"create_{kind.lower()}_job")
    list_jobs = getattr(client, f"list_{kind.lower()}_jobs")
    mine = [f"listed-{n}" for n in range(5)]
    for name in mine:
        create(**request_of(name))
    for name in mine:
        described = ended(client, kind, name)

    def listed(**filters):
        answer = list_jobs(NameContains="listed-", **filters)
        return names(answer[f"{kind}JobSummaries"], kind)

    assert listed() == mine[::-1]
    assert listed(SortBy="Name", SortOrder="Ascending") == mine
    assert listed(SortBy="Status", SortOrder="Ascending") == mine
    assert listed(StatusEquals="Failed", SortOrder="Ascending") == mine
    assert listed(StatusEquals="Stopped") == listed(StatusEquals="InProgress") == []
    assert listed(CreationTimeAfter=described["CreationTime"]) == mine[-1:]
    assert listed(LastModifiedTimeBefore=0) == []
    pages = client.get_paginator(f"list_{kind.lower()}_jobs").paginate(
        NameContains="listed-", PaginationConfig={"PageSize": 2}
    )
    sizes = [names(page[f"{kind}JobSummaries"], kind) for page in pages]
    assert sizes == [mine[:2:-1], mine[2:0:-1], mine[:1]]
    summary = list_jobs(NameContains="listed-0")[f"{kind}JobSummaries"][0]
    assert summary[f"{kind}JobStatus"] == "Failed"
    assert summary[f"{kind}JobArn"] == f"{ACCOUNT}:{kind.lower()}-job/listed-0"
    if kind == "Processing":
        assert summary["FailureReason"] == described["FailureReason"]
    else:
        assert summary["SecondaryStatus"] == "Failed"
        assert listed(WarmPoolStatusEquals="InUse") == []
    code, _ = refusal(list_jobs, NextToken="nonsense")
    assert code == "ValidationException"


@pytest.mark.parametrize("kind, request_of", [("Training", training), ("Processing", processing)])
def test_tags_are_kept_of_jobs(client, kind, request_of):
    create = getattr(client, f"create_{kind.lower()}_job")
    given = request_of("tagged", Tags=[{"Key": "team", "Value": "search"}])
    arn = create(**given)[f"{kind}JobArn"]
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "search"}]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}, {"Key": "team", "Value": "ads"}])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "cost", "Value": "1"}, {"Key": "team", "Value": "ads"},
    ]
    client.delete_tags(ResourceArn=arn, TagKeys=["cost"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "ads"}]
    assert "Tags" not in getattr(client, f"describe_{kind.lower()}_job")(**{f"{kind}JobName": "tagged"})


@pytest.fixture(scope="module")
def searched(client):
    """Three training jobs of different depths and teams."""
    for number, team in enumerate(["ads", "search", "search"]):
        client.create_training_job(
            **training(
                f"searched-{number}",
                HyperParameters={"depth": str(number), "rate": f"0.{number}"},
                ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1 + number, "VolumeSizeInGB": 9},
                InputDataConfig=[
                    {
                        "ChannelName": channel,
                        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{channel}-{number}"}},
                    }
                    for channel in ("train", "test")
                ],
                Tags=[{"Key": "team", "Value": team}],
            )
        )
        ended(client, "Training", f"searched-{number}")


def searches(client, *filters, operator="And", **more):
    """The numbers of the jobs of `searched` that meet some filters, in the order of their names."""
    filters = [dict(zip(("Name", "Operator", "Value"), one)) for one in filters]
    expression = {
        "Operator": "And",
        "Filters": [{"Name": "TrainingJobName", "Operator": "Contains", "Value": "searched-"}],
        "SubExpressions": [{"Filters": filters, "Operator": operator}],
    }
    answer = client.search(
        Resource="TrainingJob", SearchExpression=expression, SortBy="TrainingJobName", SortOrder="Ascending", **more
    )
    found = [result["TrainingJob"]["TrainingJobName"] for result in answer["Results"]]
    assert answer["TotalHits"] == {"Value": len(found), "Relation": "EqualTo"}
    return [int(name.rsplit("-", 1)[1]) for name in found]


def test_search_finds_jobs_by_what_they_are(client, searched):
    assert searches(client, ("TrainingJobStatus", "Equals", "Failed")) == [0, 1, 2]
    assert searches(client, ("TrainingJobName", "Equals", "searched-1")) == [1]
    assert searches(client, ("TrainingJobName", "NotEquals", "searched-1")) == [0, 2]
    assert searches(client, ("TrainingJobName", "In", "searched-0,searched-2")) == [0, 2]
    assert searches(client, ("Tags.team", "Equals", "search")) == [1, 2]
    assert searches(client, ("HyperParameters.depth", "GreaterThanOrEqualTo", "1")) == [1, 2]
    assert searches(client, ("HyperParameters.rate", "LessThan", "0.2")) == [0, 1]
    assert searches(client, ("ResourceConfig.InstanceCount", "GreaterThan", "2")) == [2]
    assert searches(client, ("ModelArtifacts.S3ModelArtifacts", "Exists")) == [0, 1, 2]
    assert searches(client, ("VpcConfig", "NotExists")) == [0, 1, 2]
    assert searches(client, ("CreationTime", "LessThan", "2020-01-01T00:00:00")) == []
    either = [("Tags.team", "Equals", "ads"), ("HyperParameters.depth", "Equals", "2")]
    assert searches(client, *either, operator="Or") == [0, 2]
    assert searches(client, *either) == []


def test_a_search_answers_whole_jobs_page_by_page(client, searched):
    expression = {"Filters": [{"Name": "Tags.team", "Operator": "Exists"},
                              {"Name": "TrainingJobName", "Operator": "Contains", "Value": "searched-"}]}
    pages = client.get_paginator("search").paginate(
        Resource="TrainingJob", SearchExpression=expression, SortBy="CreationTime", PaginationConfig={"PageSize": 2}
    )
    pages = [[result["TrainingJob"] for result in page["Results"]] for page in pages]
    assert [names(page) for page in pages] == [["searched-2", "searched-1"], ["searched-0"]]
    found = pages[1][0]
    described = client.describe_training_job(TrainingJobName="searched-0")
    assert found["Tags"] == [{"Key": "team", "Value": "ads"}]
    for name in ("InputDataConfig", "SecondaryStatusTransitions", "FailureReason", "CreationTime"):
        assert found[name] == described[name]


def test_a_nested_filter_wants_one_channel_that_meets_all(client, searched):
    def found(channel, uri):
        nested = {
            "NestedPropertyName": "InputDataConfig",
            "Filters": [
                {"Name": "InputDataConfig.ChannelName", "Operator": "Equals", "Value": channel},
                {"Name": "InputDataConfig.DataSource.S3DataSource.S3Uri", "Operator": "Contains", "Value": uri},
            ],
        }
        answer = client.search(Resource="TrainingJob", SearchExpression={"NestedFilters": [nested]})
        return [result["TrainingJob"]["TrainingJobName"] for result in answer["Results"]]

    assert found("train", "train-1") == ["searched-1"]
    assert found("train", "test-1") == []


def test_jobs_of_every_kind_are_trial_components(client):
    arn = client.create_processing_job(**processing("component"))["ProcessingJobArn"]
    described = ended(client, "Processing", "component")
    expression = {"Filters": [{"Name": "Source.SourceArn", "Operator": "Equals", "Value": arn}]}
    answer = client.search(Resource="ExperimentTrialComponent", SearchExpression=expression)
    [component] = [result["TrialComponent"] for result in answer["Results"]]
    assert component["TrialComponentName"] == "component-aws-processing-job"
    assert component["Source"] == {"SourceArn": arn, "SourceType": "SageMakerProcessingJob"}
    assert component["Status"]["PrimaryStatus"] == "Failed"
    job = component["SourceDetail"]["ProcessingJob"]
    assert job["ProcessingJobName"] == "component" and job["FailureReason"] == described["FailureReason"]


def test_a_search_that_makes_no_sense_is_refused(client):
    def refused(resource="TrainingJob", **arguments):
        code, message = refusal(client.search, Resource=resource, **arguments)
        assert code == "ValidationException"
        return message

    def filtered(name, operator, value):
        return {"Filters": [{"Name": name, "Operator": operator, "Value": value}]}

    assert "Search of Endpoint is not supported" in refused("Endpoint")
    assert "Member must satisfy enum value set" in refused("ProcessingJob")
    assert "at least one" in refused(SearchExpression={})
    assert "no property Nothing" in refused(SearchExpression=filtered("Nothing", "Equals", "x"))
    assert "no property Nothing" in refused(SortBy="Nothing")
    wrong = filtered("TrainingJobName", "GreaterThan", "x")
    assert "GreaterThan is not supported for text property" in refused(SearchExpression=wrong)
    assert "YYYY-mm-dd" in refused(SearchExpression=filtered("CreationTime", "LessThan", "now"))
    assert "NextToken" in refused(NextToken="nonsense")
