"""Every operation that AWS's models have, of the services that are served and of some that are not:
refused without the right credentials, and told apart from what is supported with them."""

import datetime
import json
import pathlib
from unittest import mock

import botocore.auth
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from kit import platform

MODELS = pathlib.Path(__file__).parent.parent / "crates" / "aws-wire" / "models"
MODELLED = ["sagemaker", "logs", "iam", "sts", "batch", "sqs", "lambda"]
NOT_SERVED = ["dynamodb", "sns", "events", "scheduler", "cloudwatch"]

# What AWS's services answer to requests that nobody vouches for.
UNSIGNED_CODES = {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "AccessDenied"}
UNKNOWN_CODES = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}
FORGED_CODES = {"InvalidSignatureException", "SignatureDoesNotMatch"}
EXPIRED_CODES = {"InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("every") / "data") as server:
        yield server


def client_of(server, service, key=None, **settings):
    settings = {"parameter_validation": False, "inject_host_prefix": False} | settings
    return server.client(service, key, s3={"addressing_style": "path"}, **settings)


def model_of(service):
    return botocore.session.get_session().get_service_model(service)


def sample(shape):
    """The least that `shape` takes."""
    if shape.type_name == "structure":
        return {name: sample(shape.members[name]) for name in shape.required_members}
    samples = {
        "string": "some-name", "list": [], "map": {}, "boolean": True, "blob": b"x", "timestamp": 0,
        "float": 1.0, "double": 1.0,
    }
    return samples.get(shape.type_name, 1)


def answer(client, operation):
    """The code, status and message of what an operation answers; a code of "" is a success."""
    model = client.meta.service_model.operation_model(operation)
    method = next(name for name, known in client.meta.method_to_api_mapping.items() if known == operation)
    try:
        answered = getattr(client, method)(**(sample(model.input_shape) if model.input_shape else {}))
        return "", answered["ResponseMetadata"]["HTTPStatusCode"], ""
    except ClientError as error:
        response = error.response
        message = response["Error"].get("Message", "")
        assert "html" not in message.lower(), (operation, message)
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], message


def is_bare(model, operation):
    """Whether clients don't sign the operation at all."""
    return model.operation_model(operation).auth_type == "none"


def refused(client, model, codes):
    wrong = {}
    for operation in model.operation_names:
        code, status, _ = answer(client, operation)
        # The answer to a HEAD has no body, and so no code but its status.
        is_head = model.operation_model(operation).http["method"] == "HEAD"
        expected = {str(status)} | codes if is_head else codes
        if code not in expected or status not in (400, 401, 403):
            wrong[operation] = (code, status)
    assert wrong == {}


@pytest.mark.parametrize("service", [*MODELLED, "s3", *NOT_SERVED])
def test_nothing_is_answered_without_credentials(server, service):
    client, model = client_of(server, service, signature_version=UNSIGNED), model_of(service)
    # Nothing about a bare GET or DELETE says that it is not meant for S3, whose form its refusal has.
    is_bare_rest = model.protocol == "rest-json"
    refused(client, model, UNSIGNED_CODES | ({"403"} if is_bare_rest else set()))


@pytest.mark.parametrize("service", [*MODELLED, "s3", *NOT_SERVED])
def test_nothing_is_answered_to_an_unknown_key(server, service):
    client = client_of(server, service, {"id": "AKIANOBODY", "secret": "x"})
    refused(client, model_of(service), UNKNOWN_CODES | UNSIGNED_CODES)


@pytest.mark.parametrize("service", [*MODELLED, "s3", *NOT_SERVED])
def test_nothing_is_answered_to_a_wrong_secret(server, service):
    client = client_of(server, service, server.key() | {"secret": "x"})
    refused(client, model_of(service), FORGED_CODES | UNSIGNED_CODES)


@pytest.mark.parametrize("service", [*MODELLED, "s3", *NOT_SERVED])
def test_nothing_is_answered_to_an_expired_signature(server, service):
    client = client_of(server, service)
    an_hour_ago = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(hours=1)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: an_hour_ago):
        refused(client, model_of(service), EXPIRED_CODES | UNSIGNED_CODES)


@pytest.mark.parametrize("service", MODELLED)
def test_what_is_not_supported_says_so(server, service):
    supported = json.loads((MODELS / f"{service}.json").read_text())["operations"]
    model, client = model_of(service), client_of(server, service)
    wrong = {}
    for operation in model.operation_names:
        if is_bare(model, operation):
            continue
        code, status, message = answer(client, operation)
        if operation in supported:
            if status >= 500 and code != "NotImplemented":
                wrong[operation] = (code, status)
        elif (code, status) != ("NotImplemented", 501) or operation not in message:
            wrong[operation] = (code, status, message)
    assert wrong == {}
    assert set(supported) <= set(model.operation_names)


@pytest.mark.parametrize("service", NOT_SERVED)
def test_services_that_are_not_there_say_so(server, service):
    model, client = model_of(service), client_of(server, service)
    answers = {answer(client, operation)[:2] for operation in model.operation_names if not is_bare(model, operation)}
    assert answers == {("NotImplemented", 501)}


def test_s3_answers_every_operation_in_its_form(server):
    model, client = model_of("s3"), client_of(server, "s3")
    wrong = {}
    for operation in model.operation_names:
        code, status, _ = answer(client, operation)
        if status >= 500 and (code, status) != ("NotImplemented", 501):
            wrong[operation] = (code, status)
    assert wrong == {}
