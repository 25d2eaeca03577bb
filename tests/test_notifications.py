"""Notifications of jobs' ends: a real web server, a real mail server and a real command get them."""

import hashlib
import hmac
import json
import stat

import pytest

from kit import cli, platform, receivers
from test_serve import create_model, csv_of, put, request, rows

CANARY = "canary-7f3a9c"
SECRET = f"{CANARY}-signing-key"


@pytest.fixture
def hooks():
    with receivers.hooks() as server:
        yield server


@pytest.fixture
def mail():
    with receivers.mailbox() as box:
        yield box


def settings(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bessemer.toml").write_text(text)
    (folder.parent / "key").write_text(SECRET + "\n")
    return folder


def webhook(folder, hooks, allow=True):
    allowed = json.dumps([hooks.host] if allow else [])
    return f"""
[notifications]
allow_private = {allowed}
[[notifications.targets]]
name = "hook"
type = "webhook"
url = "http://{hooks.host}/{CANARY}"
secret_file = "{folder.parent}/key"
"""


ALL = '[[notifications.rules]]\noutcomes = ["completed", "failed", "stopped"]\nsend = ["hook"]\n'


def prepared(server, booster):
    server.client("s3").create_bucket(
        Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
    )
    create_model(server, "model", booster[0])
    put(server, "short/a.csv", csv_of(rows(2)))


def end(server, name, source="short/", **changes):
    """A job that succeeds, or fails for want of inputs."""
    server.client("sagemaker").create_transform_job(**request(name, "model", source, **changes))
    server.run("jobs", "wait", name, expect=(0, 10))


def checked(got):
    """The body of a request whose signature is right."""
    stamp = got.headers["x-bessemer-timestamp"]
    wanted = hmac.new(SECRET.encode(), f"v1:{stamp}:".encode() + got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-bessemer-signature"] == f"v1={wanted}"
    return json.loads(got.body)


def assert_no_canary(folder):
    """No secret is in what the server wrote: its log, its database, its folders."""
    files = [file for file in folder.parent.rglob("*") if file.is_file()]
    seen = {file for file in files if CANARY.encode() in file.read_bytes()}
    assert seen <= {folder / "bessemer.toml", folder.parent / "key"}, seen


def test_rules_choose_who_hears_of_what(tmp_path, booster, hooks, mail):
    mailbox, mail_server = mail
    folder = tmp_path / "data"
    script = tmp_path / "on-end"
    script.write_text(
        "#!/bin/sh\n"
        f'{{ cat; echo; echo "$BESSEMER_JOB_OUTCOME ${{SLACK_HOOK-no secrets}}"; }} > {tmp_path}/told\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    text = webhook(folder, hooks) + f"""
[[notifications.targets]]
name = "team"
type = "slack"
url_env = "SLACK_HOOK"
[[notifications.targets]]
name = "mail"
type = "email"
server = "{mail_server}"
security = "none"
from = "Bessemer <bessemer@example.com>"
to = ["ml@example.com", "ops@example.com"]
[[notifications.targets]]
name = "script"
type = "command"
command = ["{script}"]
[[notifications.rules]]
name = "churn-*"
outcomes = ["completed"]
send = ["hook"]
[[notifications.rules]]
tag = "team=search"
send = ["team", "mail", "script"]
"""
    secrets = {"SLACK_HOOK": f"http://{hooks.host}/services/{CANARY}"}
    with platform.running(settings(folder, text), env=secrets) as server:
        prepared(server, booster)
        search = [{"Key": "team", "Value": "search"}]
        end(server, "other-1")
        end(server, "churn-1", Tags=search)
        body = checked(hooks.next())
        assert (body["kind"], body["name"], body["outcome"]) == ("transform", "churn-1", "completed")
        assert body["tags"] == {"team": "search"} and body["attempts"] == 1
        assert body["created_at"] <= body["started_at"] <= body["at"]
        end(server, "failed-1", "nothing/", Tags=search)
        posted = hooks.next()
        assert posted.path == f"/services/{CANARY}"
        message = json.loads(posted.body)["text"]
        assert message.startswith("*transform job failed-1 failed (invalid)*\n")
        assert "No S3 objects found" in message and "bessemer jobs why failed-1" in message
        sender, receivers_of, sent = mailbox.next()
        assert (sender, receivers_of) == ("bessemer@example.com", ["ml@example.com", "ops@example.com"])
        assert sent["Subject"] == "[Bessemer] transform job failed-1 failed (invalid)"
        assert "No S3 objects found" in sent.get_payload(decode=True).decode()
        while "a notification was delivered target=\"script\"" not in server.said.read_text():
            assert server.process.poll() is None
        told = (tmp_path / "told").read_text().splitlines()
        assert json.loads(told[0])["name"] == "failed-1"
        # The server's secrets are not the command's.
        assert told[1] == "failed no secrets"
        assert hooks.got.empty() and mailbox.got.empty()
    assert_no_canary(folder)


def test_what_was_not_delivered_is_delivered_by_the_next_server(tmp_path, booster, hooks):
    folder = tmp_path / "data"
    hooks.answer = 503
    with platform.running(settings(folder, webhook(folder, hooks) + ALL)) as server:
        prepared(server, booster)
        end(server, "a")
        end(server, "b", "nothing/")
        first = checked(hooks.next())
        again = checked(hooks.next())
        assert first == again and first["name"] == "a"
        server.stop(9)
        hooks.answer = 200
        while not hooks.got.empty():
            hooks.got.get()
        server.start()
        told = [checked(hooks.next()) for _ in range(2)]
        assert [body["name"] for body in told] == ["a", "b"] and told[0]["id"] == first["id"]
        # What was delivered is not delivered again, but for one that the kill kept from being recorded.
        while server.said.read_text().count("a notification was delivered") < 2:
            assert server.process.poll() is None
        server.restart()
        end(server, "c")
        names = [checked(hooks.next())["name"]]
        if names == ["b"]:
            names.append(checked(hooks.next())["name"])
        assert names[-1] == "c"
    assert_no_canary(folder)


def test_a_target_that_is_new_hears_of_nothing_old(tmp_path, booster, hooks):
    folder = tmp_path / "data"
    with platform.running(settings(folder, "")) as server:
        prepared(server, booster)
        end(server, "old")
        settings(folder, webhook(folder, hooks) + ALL)
        server.restart()
        end(server, "new")
        assert checked(hooks.next())["name"] == "new"


def test_webhooks_reach_no_private_hosts_and_follow_no_redirects(tmp_path, hooks):
    folder = settings(tmp_path / "data", webhook(tmp_path / "data", hooks, allow=False) + ALL)
    variable = {"BESSEMER_DATA_DIR": str(folder)}
    refused = cli.run("notify", "test", env=variable, expect=7).stderr
    assert "the host's address is private; `notifications.allow_private` may name the host" in refused
    assert hooks.got.empty() and CANARY not in refused
    settings(folder, webhook(folder, hooks) + ALL)
    assert cli.run("notify", "test", env=variable).stdout == "hook: delivered\n"
    body = checked(hooks.next())
    assert body["name"] == "notify-test" and "no job failed" in body["message"]
    hooks.answer = 302
    refused = cli.run("notify", "test", "hook", env=variable, expect=7).stderr
    assert "the webhook answered 302 Found" in refused and CANARY not in refused
    assert hooks.next().path == f"/{CANARY}" and hooks.got.empty()
    unknown = cli.run("notify", "test", "hok", env=variable, expect=cli.NOT_FOUND).stderr
    assert "did you mean `hook`?" in unknown
    (tmp_path / "key").unlink()
    missing = cli.run("notify", "test", env=variable, expect=7).stderr
    assert f"read the secret in `{tmp_path}/key`" in missing
