"""CloudWatch Logs by boto3: groups, streams, events, paging, filter patterns; over kills."""

import time

import pytest
from botocore.exceptions import ClientError

from kit import platform

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("logs") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def logs(server):
    return server.client("logs")


def now():
    return int(time.time() * 1000)


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def stream(logs, group, name, texts=(), at=None):
    """A stream with `texts`, a millisecond apart."""
    try:
        logs.create_log_group(logGroupName=group)
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    logs.create_log_stream(logGroupName=group, logStreamName=name)
    at = at or now()
    if texts:
        put(logs, group, name, [(at + index, text) for index, text in enumerate(texts)])
    return {"logGroupName": group, "logStreamName": name}


def put(logs, group, name, events):
    events = [{"timestamp": at, "message": text} for at, text in events]
    return logs.put_log_events(logGroupName=group, logStreamName=name, logEvents=events)


def texts(answer):
    return [event["message"] for event in answer["events"]]


def test_groups_and_streams_have_a_life(logs):
    begin = now()
    logs.create_log_group(logGroupName="/life/a", tags={"team": "x", "y": "z"})
    code, message = refusal(logs.create_log_group, logGroupName="/life/a")
    assert (code, message) == ("ResourceAlreadyExistsException", "The specified log group already exists")
    assert refusal(logs.create_log_group, logGroupName="aws/x")[0] == "InvalidParameterException"
    logs.create_log_group(logGroupName="/life/b", deletionProtectionEnabled=True)
    groups = logs.describe_log_groups(logGroupNamePrefix="/life/")["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["/life/a", "/life/b"]
    arn = groups[0]["arn"]
    assert arn == f"arn:aws:logs:{platform.REGION}:000000000000:log-group:/life/a:*"
    assert begin - 1000 <= groups[0]["creationTime"] <= now() + 1000

    logs.create_log_stream(logGroupName="/life/a", logStreamName="s/1")
    code, _ = refusal(logs.create_log_stream, logGroupName="/life/a", logStreamName="s/1")
    assert code == "ResourceAlreadyExistsException"
    for call, names in [
        (logs.create_log_stream, {"logGroupName": "/none", "logStreamName": "s"}),
        (logs.delete_log_stream, {"logGroupName": "/life/a", "logStreamName": "none"}),
        (logs.delete_log_group, {"logGroupName": "/none"}),
        (logs.describe_log_streams, {"logGroupName": "/none"}),
        (logs.get_log_events, {"logGroupName": "/life/a", "logStreamName": "none"}),
        (logs.filter_log_events, {"logGroupName": "/life/a", "logStreamNames": ["none"]}),
        (logs.put_retention_policy, {"logGroupName": "/none", "retentionInDays": 1}),
    ]:
        assert refusal(call, **names)[0] == "ResourceNotFoundException", names
    [described] = logs.describe_log_streams(logGroupName="/life/a")["logStreams"]
    assert described["logStreamName"] == "s/1" and "firstEventTimestamp" not in described
    assert logs.get_log_events(logGroupName="/life/a", logStreamName="s/1")["events"] == []

    arn = groups[0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"y": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"y": "2"}
    logs.delete_log_stream(logGroupName="/life/a", logStreamName="s/1")
    assert logs.describe_log_streams(logGroupName="/life/a")["logStreams"] == []
    logs.delete_log_group(logGroupName="/life/a")
    assert refusal(logs.delete_log_group, logGroupName="/life/b")[0] == "ValidationException"
    left = logs.describe_log_groups(logGroupNamePattern="life")["logGroups"]
    assert [group["logGroupName"] for group in left] == ["/life/b"]


def test_events_come_back_as_they_were_put(logs):
    begin = now()
    wanted = ["first", "two\nlines\n", "back\\slash \\n", "größe", "x" * 400_000]
    name = stream(logs, "put", "s", wanted, at=begin)
    answer = logs.get_log_events(**name, startFromHead=True)
    assert texts(answer) == wanted
    assert [event["timestamp"] - begin for event in answer["events"]] == list(range(5))
    # Whatever the token says, and in parallel with others, a batch is taken.
    again = logs.put_log_events(
        **name, logEvents=[{"timestamp": begin + 9, "message": "last"}], sequenceToken="nonsense"
    )
    assert again["nextSequenceToken"]
    # A batch from before takes its place.
    put(logs, "put", "s", [(begin - 5, "before"), (begin + 1, "between")])
    answer = logs.get_log_events(**name, startFromHead=True)
    assert texts(answer) == ["before", *wanted[:2], "between", *wanted[2:], "last"]
    [described] = logs.describe_log_streams(logGroupName="put")["logStreams"]
    assert described["firstEventTimestamp"] == begin - 5
    assert described["lastEventTimestamp"] == begin + 9


def test_batches_have_limits(logs):
    stream(logs, "limits", "s")
    at = now()
    code, message = refusal(lambda: put(logs, "limits", "s", [(at, "b"), (at - 1, "a")]))
    assert code == "InvalidParameterException" and "chronological order" in message
    code, message = refusal(lambda: put(logs, "limits", "s", [(at - DAY - 1, "a"), (at, "b")]))
    assert code == "InvalidParameterException" and "24 hours" in message
    half = "x" * (1_048_576 // 2 - 26)
    code, message = refusal(lambda: put(logs, "limits", "s", [(at, half), (at, half + "x")]))
    assert code == "InvalidParameterException" and "1048577 bytes exceeds limit of 1048576" in message
    assert "rejectedLogEventsInfo" not in put(logs, "limits", "s", [(at, half), (at, half)])
    answer = put(logs, "limits", "s", [
        (at - 15 * DAY, "too old"), (at, "kept"), (at + 3 * HOUR, "too new"),
    ])
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
    kept = texts(logs.get_log_events(logGroupName="limits", logStreamName="s", startTime=at))
    assert kept[-1] == "kept"


def test_expired_events_are_neither_taken_nor_shown(logs):
    at = now()
    stream(logs, "old", "s", ["old"], at=at - 3 * DAY)
    put(logs, "old", "s", [(at, "new")])
    code, message = refusal(logs.put_retention_policy, logGroupName="old", retentionInDays=2)
    assert code == "InvalidParameterException" and "[1, 3, 5, 7, 14" in message
    logs.put_retention_policy(logGroupName="old", retentionInDays=1)
    [group] = logs.describe_log_groups(logGroupNamePrefix="old")["logGroups"]
    assert group["retentionInDays"] == 1
    name = {"logGroupName": "old", "logStreamName": "s"}
    assert texts(logs.get_log_events(**name)) == ["new"]
    assert texts(logs.filter_log_events(logGroupName="old")) == ["new"]
    answer = put(logs, "old", "s", [(at - 2 * DAY, "late")])
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName="old")
    assert texts(logs.get_log_events(**name)) == ["old", "new"]


def test_streams_are_listed_in_every_order_page_by_page(logs):
    at = now()
    for index, name in enumerate(["c/1", "a/1", "b/1", "a/2"]):
        stream(logs, "order", name, [name], at=at + index)

    def listed(**arguments):
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName="order", PaginationConfig={"PageSize": 3}, **arguments
        )
        return [entry["logStreamName"] for page in pages for entry in page["logStreams"]]

    assert listed() == ["a/1", "a/2", "b/1", "c/1"]
    assert listed(descending=True) == ["c/1", "b/1", "a/2", "a/1"]
    assert listed(orderBy="LastEventTime", descending=True) == ["a/2", "b/1", "a/1", "c/1"]
    assert listed(logStreamNamePrefix="a/") == ["a/1", "a/2"]
    code, _ = refusal(listed, orderBy="LastEventTime", logStreamNamePrefix="a")
    assert code == "InvalidParameterException"


def test_tokens_lead_through_a_stream_and_stay_at_its_ends(logs):
    name = stream(logs, "tokens", "s", [str(number) for number in range(10)])
    first = logs.get_log_events(**name, startFromHead=True, limit=6)
    second = logs.get_log_events(**name, nextToken=first["nextForwardToken"], limit=6)
    assert texts(first) + texts(second) == [str(number) for number in range(10)]
    end = second["nextForwardToken"]
    third = logs.get_log_events(**name, nextToken=end)
    assert third["events"] == [] and third["nextForwardToken"] == end
    put(logs, "tokens", "s", [(now() + 100, "more")])
    assert texts(logs.get_log_events(**name, nextToken=end)) == ["more"]
    latest = logs.get_log_events(**name, limit=2)
    assert texts(latest) == ["9", "more"]
    before = logs.get_log_events(**name, nextToken=latest["nextBackwardToken"], limit=3)
    assert texts(before) == ["6", "7", "8"]
    code, message = refusal(logs.get_log_events, **name, nextToken="nonsense")
    assert code == "InvalidParameterException" and "nextToken is invalid" in message


@pytest.fixture(scope="module")
def filtered(logs):
    at = now()
    stream(logs, "filter", "api/1", [
        "INFO started", '{"level": "ERROR", "took": 12, "user": {"name": "ann"}}',
        '127.0.0.1 - ann [10/Oct/2026:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534',
    ], at=at)
    stream(logs, "filter", "api/2", ["WARN slow", '{"level": "INFO", "took": 3}'], at=at)
    stream(logs, "filter", "web/1", ["ERROR no disk", "exit code 1", "exit code 0"], at=at)
    return at


@pytest.mark.parametrize("pattern, wanted", [
    ("ERROR", ["ERROR no disk", "{"]),
    ('"exit code" -0', ["exit code 1"]),
    ("?WARN ?started", ["INFO started", "WARN slow"]),
    ("%^exit.*[01]$%", ["exit code 1", "exit code 0"]),
    ('{ $.level = "ERR*" && $.took > 3 && $.user.name = ann }', ["{"]),
    ("{ $.took < 100 && $.user NOT EXISTS }", ["{"]),
    ("[ip, id, user, time, request = *.html*, status = 4*, size > 1000]", ["127"]),
    ("[word = exit, ..., code = 0]", ["exit code 0"]),
    ("nothing", []),
])
def test_patterns_choose_events(logs, filtered, pattern, wanted):
    found = texts(logs.filter_log_events(logGroupName="filter", filterPattern=pattern))
    assert len(found) == len(wanted), found
    assert all(text.startswith(start) for text, start in zip(found, wanted)), found


def test_a_wrong_pattern_is_refused(logs, filtered):
    code, message = refusal(logs.filter_log_events, logGroupName="filter", filterPattern="{ $.a > x }")
    assert code == "InvalidParameterException" and "`>` takes a number" in message


def test_pages_of_a_filter_are_in_the_order_of_time(logs, filtered):
    def walk(**arguments):
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName="filter", PaginationConfig={"PageSize": 2}, **arguments
        )
        return [event for page in pages for event in page["events"]]

    events = walk()
    assert [(e["timestamp"] - filtered, e["logStreamName"]) for e in events] == [
        (0, "api/1"), (0, "api/2"), (0, "web/1"), (1, "api/1"), (1, "api/2"), (1, "web/1"),
        (2, "api/1"), (2, "web/1"),
    ]
    assert len({event["eventId"] for event in events}) == 8
    assert [event["eventId"] for event in reversed(walk(startFromHead=False))] == [
        event["eventId"] for event in events
    ]
    assert {event["logStreamName"] for event in walk(logStreamNamePrefix="api/")} == {"api/1", "api/2"}
    chosen = walk(logStreamNames=["web/1"], startTime=filtered + 1, endTime=filtered + 1)
    assert [event["message"] for event in chosen] == ["exit code 1"]


def test_acknowledged_events_outlive_a_kill(tmp_path):
    with platform.running(tmp_path / "data") as server:
        stream(server.client("logs"), "kill", "s", ["kept"])
        server.restart()
        found = server.client("logs").get_log_events(logGroupName="kill", logStreamName="s")
        assert texts(found) == ["kept"]
