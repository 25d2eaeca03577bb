"""Bessemer's S3, driven by boto3."""

import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import threading
import urllib.error
import urllib.request
import zlib

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.handlers import validate_bucket_name
from kit import platform

MB = 1 << 20
SECRET = "secret"


def client(address, key="AKIAWRITER", secret=SECRET, region="eu-west-1", **config):
    config = Config(retries={"total_max_attempts": 1}, **config)
    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=config,
    )


@contextlib.contextmanager
def running(folder):
    """A server with two keys; yields its address and its folder of buckets."""
    folder.mkdir(exist_ok=True)
    made = {"secret": SECRET, "created_at": 0}
    keys = [made | {"id": "AKIAWRITER"}, made | {"id": "AKIAREADER", "read_only": True}]
    (folder / "keys.json").write_text(json.dumps({"keys": keys}))
    with platform.running(folder) as server:
        yield server.address, folder / "buckets"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The address of the service and its folder of buckets."""
    with running(tmp_path_factory.mktemp("s3") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def s3(service):
    return client(service[0])


@pytest.fixture
def bucket(s3, service, request):
    """A new bucket, whose folder is `folder / bucket`."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60].lower().rstrip("-")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def folder(service, bucket):
    return service[1] / bucket


def code(error):
    return error.value.response["Error"]["Code"]


def status(error):
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def refused(expected, call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert code(error) == expected, error.value
    return error.value.response


def read(s3, bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def keys(page):
    return [entry["Key"] for entry in page.get("Contents", [])]


def md5(content):
    return hashlib.md5(content).hexdigest()


# Buckets


def test_buckets_are_made_found_listed_and_deleted(s3, service):
    s3.create_bucket(
        Bucket="one-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert (service[1] / "one-bucket").is_dir()
    refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket="one-bucket")
    first = client(service[0], region="us-east-1")
    assert first.create_bucket(Bucket="one-bucket")["Location"] == "/one-bucket"
    assert s3.head_bucket(Bucket="one-bucket")["BucketRegion"] == "eu-west-1"
    assert s3.get_bucket_location(Bucket="one-bucket")["LocationConstraint"] == "eu-west-1"
    listed = {found["Name"]: found["CreationDate"] for found in s3.list_buckets()["Buckets"]}
    assert listed["one-bucket"].tzinfo is not None
    # How the SageMaker SDK looks for its default bucket.
    resource = boto3.resource(
        "s3",
        endpoint_url=service[0],
        region_name="eu-west-1",
        aws_access_key_id="AKIAWRITER",
        aws_secret_access_key=SECRET,
    )
    assert resource.Bucket("one-bucket").creation_date == listed["one-bucket"]
    assert resource.Bucket("no-such-bucket").creation_date is None

    s3.put_object(Bucket="one-bucket", Key="a/b", Body=b"")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket="one-bucket")
    s3.delete_object(Bucket="one-bucket", Key="a/b")
    s3.delete_bucket(Bucket="one-bucket")
    assert not (service[1] / "one-bucket").exists()
    refused("404", s3.head_bucket, Bucket="one-bucket")
    refused("NoSuchBucket", s3.delete_bucket, Bucket="one-bucket")
    refused("NoSuchBucket", s3.list_objects_v2, Bucket="one-bucket")
    refused("NoSuchBucket", s3.put_object, Bucket="one-bucket", Key="k", Body=b"x")
    refused("NoSuchBucket", s3.get_object, Bucket="one-bucket", Key="k")


def test_listed_buckets_are_paged(s3):
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = s3.get_paginator("list_buckets").paginate(
        Prefix="page-", PaginationConfig={"PageSize": 2}
    )
    assert [[found["Name"] for found in page["Buckets"]] for page in pages] == [
        names[:2],
        names[2:4],
        names[4:],
    ]


def test_our_own_folder_is_no_bucket(s3, service):
    for path in ["/.bessemer", "/.bessemer/tmp", "/..", "/%2e%2e", "/..%2f.."]:
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(service[0] + path)
        assert error.value.code == 403
    signer = client(service[0], parameter_validation=False)
    signer.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    for name in [".bessemer", ".."]:
        refused("InvalidBucketName", signer.list_objects_v2, Bucket=name)
    assert ".bessemer" not in [found["Name"] for found in s3.list_buckets()["Buckets"]]


# Objects


def test_an_object_is_a_plain_file_and_keeps_what_is_said_of_it(s3, bucket, folder):
    said = {
        "ContentType": "text/csv",
        "CacheControl": "no-cache",
        "ContentDisposition": 'attachment; filename="b.csv"',
        "ContentEncoding": "identity",
        "ContentLanguage": "en",
        "Metadata": {"one": "1", "two": "zwei"},
    }
    put = s3.put_object(Bucket=bucket, Key="a/b.csv", Body=b"1,2\n", **said)
    assert put["ETag"] == f'"{md5(b"1,2" + bytes([10]))}"'
    assert (folder / "a/b.csv").read_bytes() == b"1,2\n"
    for answer in [
        s3.get_object(Bucket=bucket, Key="a/b.csv"),
        s3.head_object(Bucket=bucket, Key="a/b.csv"),
    ]:
        assert {name: answer[name] for name in said} == said
        assert (answer["ContentLength"], answer["ETag"]) == (4, put["ETag"])
        assert answer["LastModified"].tzinfo is not None
    changed = s3.get_object(Bucket=bucket, Key="a/b.csv", ResponseContentType="text/plain")
    assert changed["ContentType"] == "text/plain"
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="a")
    refused("404", s3.head_object, Bucket=bucket, Key="a/b")
    refused(
        "MetadataTooLarge", s3.put_object, Bucket=bucket, Key="k", Metadata={"x": "y" * 2100}
    )


def test_a_file_put_in_place_by_hand_is_an_object(s3, bucket, folder):
    (folder / "by").mkdir()
    (folder / "by/hand.txt").write_bytes(b"by hand")
    assert read(s3, bucket, "by/hand.txt") == b"by hand"
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    head = s3.head_object(Bucket=bucket, Key="by/hand.txt")
    assert listed["Key"] == "by/hand.txt" and listed["ETag"] == head["ETag"]
    copied = s3.copy_object(
        Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "by/hand.txt"}
    )
    assert copied["CopyObjectResult"]["ETag"] == f'"{md5(b"by hand")}"'


@pytest.mark.parametrize(
    "key",
    ["a", "a/b", "a/b/c", "a/", "a//b", "..", "../x", "a/../b", "ü +%&=?#", ".bessemer/x", "x" * 255],
)
def test_odd_keys_are_objects(s3, service, key):
    name = "odd-keys"
    if not any(found["Name"] == name for found in s3.list_buckets()["Buckets"]):
        s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=key, Body=key.encode())
    assert read(s3, name, key) == key.encode()
    assert key in keys(s3.list_objects_v2(Bucket=name))
    assert key in keys(s3.list_objects(Bucket=name))


def test_keys_that_no_file_can_have_are_refused(s3, bucket):
    for key in ["x" * 256, "a/" * 600]:
        refused("KeyTooLongError", s3.put_object, Bucket=bucket, Key=key, Body=b"")


def test_an_object_and_a_folder_of_its_name_live_together(s3, bucket):
    s3.put_object(Bucket=bucket, Key="model", Body=b"file", ContentType="text/plain")
    s3.put_object(Bucket=bucket, Key="model/weights", Body=b"inside")
    assert s3.get_object(Bucket=bucket, Key="model")["ContentType"] == "text/plain"
    assert read(s3, bucket, "model") == b"file"
    s3.put_object(Bucket=bucket, Key="model", Body=b"again")
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert keys(page) == ["model"]
    assert page["CommonPrefixes"] == [{"Prefix": "model/"}]
    s3.delete_object(Bucket=bucket, Key="model/weights")
    assert (read(s3, bucket, "model"), keys(s3.list_objects_v2(Bucket=bucket))) == (
        b"again",
        ["model"],
    )


def test_ranges(s3, bucket):
    content = os.urandom(3 * MB + 17)
    s3.put_object(Bucket=bucket, Key="k", Body=content)
    size = len(content)
    for given, start, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-1048580", 5, 1048581),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=-17", size - 17, size),
        (f"bytes=10-{size * 2}", 10, size),
    ]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=given, ChecksumMode="ENABLED")
        assert got["Body"].read() == content[start:end]
        assert got["ContentRange"] == f"bytes {start}-{end - 1}/{size}"
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        # The checksum is the whole object's; an answer with a part of it must not hold it.
        assert "ChecksumCRC32" not in got
    answer = refused("InvalidRange", s3.get_object, Bucket=bucket, Key="k", Range=f"bytes={size}-")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_conditional_reads(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    head = s3.head_object(Bucket=bucket, Key="k")
    etag, date = head["ETag"], head["LastModified"]
    get = {"call": s3.get_object, "Bucket": bucket, "Key": "k"}
    assert read(s3, bucket, "k", IfMatch=etag) == b"x"
    assert read(s3, bucket, "k", IfNoneMatch='"other"') == b"x"
    assert read(s3, bucket, "k", IfUnmodifiedSince=date) == b"x"
    refused("PreconditionFailed", IfMatch='"other"', **get)
    answer = refused("304", IfNoneMatch=etag, **get)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag
    refused("304", IfModifiedSince=date, **get)
    refused("304", s3.head_object, Bucket=bucket, Key="k", IfNoneMatch=etag)
    refused("412", s3.head_object, Bucket=bucket, Key="k", IfMatch='"other"')


def test_conditional_writes(s3, bucket):
    put = {"call": s3.put_object, "Bucket": bucket, "Key": "k"}
    refused("PreconditionFailed", Body=b"0", IfMatch='"other"', **put)
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", Body=b"2", IfNoneMatch="*", **put)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first)
    refused("PreconditionFailed", Body=b"4", IfMatch=first, **put)
    assert read(s3, bucket, "k") == b"3"
    refused("PreconditionFailed", s3.delete_object, Bucket=bucket, Key="k", IfMatch=first)
    assert read(s3, bucket, "k") == b"3"

    def create(number):
        try:
            s3.put_object(Bucket=bucket, Key="once", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return b"%d" % number

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = [number for number in pool.map(create, range(16)) if number is not None]
    assert made == [read(s3, bucket, "once")]


CHECKSUMS = {
    "CRC32": lambda content: zlib.crc32(content).to_bytes(4),
    "SHA1": lambda content: hashlib.sha1(content).digest(),
    "SHA256": lambda content: hashlib.sha256(content).digest(),
    # The check values of their definitions, for the content `123456789`.
    "CRC32C": lambda _: bytes.fromhex("e3069283"),
    "CRC64NVME": lambda _: bytes.fromhex("ae8b14860a799888"),
}


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_checksums_are_verified_and_given_back(s3, bucket, algorithm):
    content = b"123456789"
    member = f"Checksum{algorithm}"
    value = base64.b64encode(CHECKSUMS[algorithm](content)).decode()
    put = s3.put_object(Bucket=bucket, Key="k", Body=content, **{member: value})
    assert (put[member], put["ChecksumType"]) == (value, "FULL_OBJECT")
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got[member], got["Body"].read()) == (value, content)
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[member] == value
    quiet = client(s3.meta.endpoint_url, response_checksum_validation="when_required")
    assert member not in quiet.get_object(Bucket=bucket, Key="k")
    wrong = base64.b64encode(bytes(len(CHECKSUMS[algorithm](content)))).decode()
    refused(
        "BadDigest", s3.put_object, Bucket=bucket, Key="k", Body=b"other", **{member: wrong}
    )
    assert read(s3, bucket, "k") == content


def test_content_md5_is_verified(s3, bucket):
    right = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5=right)
    refused("BadDigest", s3.put_object, Bucket=bucket, Key="k", Body=b"y", ContentMD5=right)
    refused("InvalidDigest", s3.put_object, Bucket=bucket, Key="k", Body=b"y", ContentMD5="abcd")
    assert read(s3, bucket, "k") == b"x"


def test_a_body_that_is_not_what_was_signed_is_refused(s3, bucket):
    def swap(request, **_):
        request.body = b"bbbb"

    changed = client(s3.meta.endpoint_url, request_checksum_calculation="when_required")
    changed.meta.events.register("before-send.s3.PutObject", swap)
    refused("XAmzContentSHA256Mismatch", changed.put_object, Bucket=bucket, Key="k", Body=b"aaaa")
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="k")


def test_copies(s3, bucket, folder):
    s3.put_object(
        Bucket=bucket, Key="a b+c", Body=b"x", Metadata={"m": "1"}, ContentType="text/csv",
        Tagging="t=1",
    )
    source = {"Bucket": bucket, "Key": "a b+c"}
    etag = s3.head_object(Bucket=bucket, Key="a b+c")["ETag"]
    result = s3.copy_object(Bucket=bucket, Key="same", CopySource=source)["CopyObjectResult"]
    assert result["ETag"] == etag and result["LastModified"].tzinfo is not None
    same = s3.head_object(Bucket=bucket, Key="same")
    assert (same["Metadata"], same["ContentType"]) == ({"m": "1"}, "text/csv")
    assert s3.get_object_tagging(Bucket=bucket, Key="same")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.copy_object(
        Bucket=bucket, Key="new", CopySource=source, MetadataDirective="REPLACE",
        Metadata={"n": "2"}, TaggingDirective="REPLACE", Tagging="u=2",
        ChecksumAlgorithm="SHA256",
    )
    new = s3.head_object(Bucket=bucket, Key="new", ChecksumMode="ENABLED")
    assert new["Metadata"] == {"n": "2"}
    assert new["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    assert s3.get_object_tagging(Bucket=bucket, Key="new")["TagSet"] == [{"Key": "u", "Value": "2"}]
    refused("InvalidRequest", s3.copy_object, Bucket=bucket, Key="a b+c", CopySource=source)
    refused(
        "NoSuchKey", s3.copy_object, Bucket=bucket, Key="k",
        CopySource={"Bucket": bucket, "Key": "missing"},
    )
    refused(
        "PreconditionFailed", s3.copy_object, Bucket=bucket, Key="k", CopySource=source,
        CopySourceIfMatch='"other"',
    )
    assert sorted(path.name for path in folder.iterdir()) == ["a b+c", "new", "same"]


def test_deletions(s3, bucket, folder):
    for key in ["a/b/c", "a/d", "e"]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="a/b/c")
    assert not (folder / "a/b").exists() and (folder / "a/d").exists()
    s3.delete_object(Bucket=bucket, Key="missing/key")
    deleted = s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": "a/d"}, {"Key": "missing"}, {"Key": "e", "VersionId": "1"}]},
    )
    assert [found["Key"] for found in deleted["Deleted"]] == ["a/d", "missing"]
    assert [(found["Key"], found["Code"]) for found in deleted["Errors"]] == [("e", "NoSuchVersion")]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "e"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert list(folder.iterdir()) == []


def test_tags(s3, bucket):
    tags = [{"Key": f"key {number}", "Value": "ü" * 200} for number in range(10)]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"m": "y" * 1000}, Tagging="a=1&b=%20")
    named = {"Bucket": bucket, "Key": "k"}
    before = s3.head_object(**named)
    assert s3.get_object_tagging(**named)["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": " "},
    ]
    s3.put_object_tagging(Tagging={"TagSet": tags}, **named)
    assert s3.get_object_tagging(**named)["TagSet"] == tags
    assert s3.get_object(**named)["TagCount"] == 10
    after = s3.head_object(**named)
    assert [after[name] for name in ("ETag", "LastModified", "Metadata")] == [
        before[name] for name in ("ETag", "LastModified", "Metadata")
    ]
    s3.delete_object_tagging(**named)
    assert s3.get_object_tagging(**named)["TagSet"] == []
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    refused("InvalidTag", s3.put_object_tagging, Tagging={"TagSet": twice}, **named)
    many = [{"Key": str(number), "Value": ""} for number in range(11)]
    refused("BadRequest", s3.put_object_tagging, Tagging={"TagSet": many}, **named)
    refused("NoSuchKey", s3.get_object_tagging, Bucket=bucket, Key="missing")


# Listing


@pytest.fixture(scope="module")
def many(s3, service):
    """A bucket of 2,500 keys in folders, made by hand, and the keys in the order of S3."""
    s3.create_bucket(Bucket="many-keys")
    names = [f"d{number % 25:02}/f{number:04}" for number in range(2450)]
    names += [f"top-{number:02}" for number in range(50)]
    for name in names:
        path = service[1] / "many-keys" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return "many-keys", sorted(names)


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_listings_are_paged_in_the_order_of_bytes(s3, many, operation):
    bucket, names = many
    pages = list(s3.get_paginator(operation).paginate(Bucket=bucket))
    assert [len(keys(page)) for page in pages] == [1000, 1000, 500]
    assert [key for page in pages for key in keys(page)] == names
    assert [page["IsTruncated"] for page in pages] == [True, True, False]


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_delimiters_roll_keys_up_over_pages(s3, many, operation):
    bucket, names = many
    paginator = s3.get_paginator(operation)
    pages = list(
        paginator.paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 7})
    )
    prefixes = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
    assert prefixes == [f"d{number:02}/" for number in range(25)]
    assert [key for page in pages for key in keys(page)] == names[2450:]
    counts = [len(keys(page)) + len(page.get("CommonPrefixes", [])) for page in pages]
    assert counts == [7] * 10 + [5]
    if operation == "list_objects_v2":
        assert [page["KeyCount"] for page in pages] == counts
    inner = paginator.paginate(Bucket=bucket, Prefix="d07/f00", Delimiter="/")
    expected = [name for name in names if name.startswith("d07/f00")]
    assert [key for page in inner for key in keys(page)] == expected != []


def test_listing_starts_after_a_key(s3, many):
    bucket, names = many
    page = s3.list_objects_v2(Bucket=bucket, StartAfter=names[1234], MaxKeys=3)
    assert keys(page) == names[1235:1238]
    assert (page["StartAfter"], page["MaxKeys"]) == (names[1234], 3)
    assert keys(s3.list_objects(Bucket=bucket, Marker=names[-2])) == names[-1:]
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="none")) == []
    assert keys(s3.list_objects_v2(Bucket=bucket, MaxKeys=0)) == []
    refused("InvalidArgument", s3.list_objects_v2, Bucket=bucket, ContinuationToken="!")


def test_keys_are_encoded_where_a_client_asks_for_it(s3, service, bucket):
    name = "a b/ü+%20&<>\x01"
    s3.put_object(Bucket=bucket, Key=name, Body=b"")
    page = s3.list_objects_v2(Bucket=bucket)
    assert (keys(page), page["EncodingType"]) == ([name], "url")
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="ü")
    assert page["CommonPrefixes"] == [{"Prefix": "a b/ü"}]
    signer = client(service[0], signature_version="s3v4")
    raw = signer.generate_presigned_url(
        "list_objects_v2", Params={"Bucket": bucket, "EncodingType": "url"}
    )
    text = urllib.request.urlopen(raw).read().decode()
    assert "<Key>a%20b/%C3%BC%2B%2520%26%3C%3E%01</Key>" in text


# Multipart


@pytest.mark.parametrize("size", [200 * MB + 12345])
def test_large_files_go_up_and_down(s3, bucket, folder, tmp_path, size):
    path = tmp_path / "large"
    block = os.urandom(MB)
    with path.open("wb") as file:
        for number in range(0, size, MB):
            file.write(number.to_bytes(8) + block[: min(MB, size - number) - 8])
    digest = hashlib.file_digest(path.open("rb"), "md5").hexdigest()
    s3.upload_file(str(path), bucket, "large", ExtraArgs={"Metadata": {"m": "1"}})
    assert hashlib.file_digest((folder / "large").open("rb"), "md5").hexdigest() == digest
    head = s3.head_object(Bucket=bucket, Key="large", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-26"') and head["ContentLength"] == size
    assert head["Metadata"] == {"m": "1"}
    assert head["ChecksumCRC32"].endswith("-26") and head["ChecksumType"] == "COMPOSITE"
    second = s3.get_object(Bucket=bucket, Key="large", PartNumber=2)
    assert (second["PartsCount"], second["ContentLength"]) == (26, 8 * MB)
    assert second["ContentRange"] == f"bytes {8 * MB}-{16 * MB - 1}/{size}"
    back = tmp_path / "back"
    s3.download_file(bucket, "large", str(back))
    assert hashlib.file_digest(back.open("rb"), "md5").hexdigest() == digest
    # Copied part by part, as clients copy what is large.
    limits = TransferConfig(multipart_threshold=64 * MB, multipart_chunksize=64 * MB)
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy", Config=limits)
    assert hashlib.file_digest((folder / "copy").open("rb"), "md5").hexdigest() == digest
    assert s3.head_object(Bucket=bucket, Key="copy")["ETag"].endswith('-4"')


def begin(s3, bucket, key, **arguments):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)
    return {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}


def complete(s3, upload, parts, **arguments):
    named = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
    return s3.complete_multipart_upload(MultipartUpload=named, **upload, **arguments)


def test_parts_make_an_object(s3, bucket):
    upload = begin(s3, bucket, "k", ContentType="text/plain", Tagging="t=1")
    one, two = os.urandom(5 * MB), b"the end"
    parts = {}
    for number, content in [(3, two), (1, b"replaced" * MB), (1, one), (2, b"left out")]:
        part = s3.upload_part(PartNumber=number, Body=content, **upload)
        parts[number] = part["ETag"]
    assert parts[3] == f'"{md5(two)}"'
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="k")
    listed = s3.list_parts(**upload)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [
        (1, 5 * MB),
        (2, 8),
        (3, 7),
    ]
    page = s3.list_parts(MaxParts=1, PartNumberMarker=1, **upload)
    assert [part["PartNumber"] for part in page["Parts"]] == [2]
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 2)

    done = complete(s3, upload, [(1, parts[1]), (3, parts[3])])
    digests = hashlib.md5(one).digest() + hashlib.md5(two).digest()
    assert done["ETag"] == f'"{md5(digests)}-2"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ContentType"], got["TagCount"]) == (one + two, "text/plain", 1)
    # A client that did not hear of the end asks again.
    assert complete(s3, upload, [(1, parts[1]), (3, parts[3])])["ETag"] == done["ETag"]
    refused("NoSuchUpload", s3.list_parts, **upload)


def test_wrong_completions_are_refused(s3, bucket):
    upload = begin(s3, bucket, "k")
    refused("InvalidArgument", s3.upload_part, PartNumber=10001, Body=b"", **upload)
    one = s3.upload_part(PartNumber=1, Body=b"small", **upload)["ETag"]
    two = s3.upload_part(PartNumber=2, Body=b"last", **upload)["ETag"]
    refuse = lambda expected, parts, **arguments: refused(  # noqa: E731
        expected, complete, s3=s3, upload=upload, parts=parts, **arguments
    )
    refuse("EntityTooSmall", [(1, one), (2, two)])
    refuse("InvalidPartOrder", [(2, two), (1, one)])
    refuse("InvalidPart", [(1, two)])
    refuse("InvalidPart", [(1, one), (9, two)])
    s3.put_object(Bucket=bucket, Key="k", Body=b"there")
    refuse("PreconditionFailed", [(2, two)], IfNoneMatch="*")
    assert read(s3, bucket, "k") == b"there"
    refused("NoSuchUpload", s3.upload_part, Bucket=bucket, Key="other", PartNumber=1, Body=b"",
            UploadId=upload["UploadId"])
    refused("NoSuchUpload", s3.list_parts, Bucket=bucket, Key="k", UploadId="../../etc")
    complete(s3, upload, [(2, two)])
    assert read(s3, bucket, "k") == b"last"


def test_uploads_are_listed_and_aborted(s3, bucket, service):
    uploads = [begin(s3, bucket, key) for key in ["a", "b/1", "b/2", "c", "c"]]
    listed = s3.list_multipart_uploads(Bucket=bucket)
    assert [each["Key"] for each in listed["Uploads"]] == ["a", "b/1", "b/2", "c", "c"]
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [each["Key"] for each in rolled["Uploads"]] == ["a", "c", "c"]
    assert rolled["CommonPrefixes"] == [{"Prefix": "b/"}]
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )
    found = [each["UploadId"] for page in pages for each in page.get("Uploads", [])]
    assert found == [each["UploadId"] for each in listed["Uploads"]]
    s3.upload_part(PartNumber=1, Body=b"x", **uploads[0])
    for upload in uploads:
        s3.abort_multipart_upload(**upload)
    refused("NoSuchUpload", s3.abort_multipart_upload, **uploads[0])
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)
    own = service[1] / ".bessemer"
    assert not any((own / "uploads" / upload["UploadId"]).exists() for upload in uploads)
    assert list((own / "tmp").iterdir()) == []


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_a_full_object_checksum_is_of_the_whole(s3, bucket, algorithm):
    content = os.urandom(5 * MB + 100)
    upload = begin(s3, bucket, "k", ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT")
    parts = [
        (number, s3.upload_part(PartNumber=number, Body=body, **upload)["ETag"])
        for number, body in [(1, content[: 5 * MB]), (2, content[5 * MB :])]
    ]
    complete(s3, upload, parts, ChecksumType="FULL_OBJECT")
    s3.put_object(Bucket=bucket, Key="put", Body=content)
    source = {"Bucket": bucket, "Key": "put"}
    s3.copy_object(Bucket=bucket, Key="once", CopySource=source, ChecksumAlgorithm=algorithm)
    joined, once = (
        s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED") for key in ("k", "once")
    )
    member = f"Checksum{algorithm}"
    assert (joined[member], joined["ChecksumType"]) == (once[member], "FULL_OBJECT")


def test_writers_and_readers_at_once(s3, bucket):
    bodies = [bytes([number]) * (MB + number) for number in range(4)]
    s3.put_object(Bucket=bucket, Key="k", Body=bodies[0])
    is_done = threading.Event()

    def write(body):
        for _ in range(5):
            s3.put_object(Bucket=bucket, Key="k", Body=body)

    def watch():
        rounds = 0
        while not is_done.is_set() or rounds == 0:
            assert read(s3, bucket, "k") in bodies
            assert keys(s3.list_objects_v2(Bucket=bucket)) == ["k"]
            rounds += 1

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        watchers = [pool.submit(watch) for _ in range(2)]
        for writer in [pool.submit(write, body) for body in bodies]:
            writer.result()
        is_done.set()
        for watcher in watchers:
            watcher.result()


# Who may call


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls(s3, service, bucket, version):
    signer = client(service[0], signature_version=version)
    named = {"Bucket": bucket, "Key": "a/ü b+c"}
    put = signer.generate_presigned_url("put_object", Params=named)
    get = signer.generate_presigned_url("get_object", Params=named)
    assert ("AWSAccessKeyId=" in get) == (version == "s3")
    urllib.request.urlopen(urllib.request.Request(put, b"content", method="PUT", headers={"Content-Type": ""}))
    assert urllib.request.urlopen(get).read() == b"content"
    extra = signer.generate_presigned_url(
        "get_object", Params=named | {"ResponseContentType": "text/plain"}
    )
    assert urllib.request.urlopen(extra).headers["Content-Type"] == "text/plain"
    listing = signer.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket})
    if version == "s3v4":
        assert b"<Key>" in urllib.request.urlopen(listing).read()
    else:
        # Version 2 does not sign what a listing is of: whoever has its URL could list all.
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(listing)
        assert error.value.code == 403
    found = signer.generate_presigned_url("head_bucket", Params={"Bucket": bucket})
    assert urllib.request.urlopen(urllib.request.Request(found, method="HEAD")).status == 200
    typed = signer.generate_presigned_url(
        "put_object", Params=named | {"ContentType": "text/csv", "Metadata": {"m": "1 + 2"}}
    )
    headers = {"Content-Type": "text/csv"}
    if version == "s3v4":
        headers["x-amz-meta-m"] = "1 + 2"
    urllib.request.urlopen(urllib.request.Request(typed, b"content", headers, method="PUT"))
    head = s3.head_object(**named)
    assert (head["ContentType"], head["Metadata"]) == ("text/csv", {"m": "1 + 2"})
    late = signer.generate_presigned_url("get_object", Params=named, ExpiresIn=-5)
    for wrong in [get.replace("b%2Bc", "other"), get.replace("Signature=", "Signature=x"), put, late]:
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(wrong)
        assert error.value.code in (400, 403)


def test_wrong_credentials_are_refused(s3, service, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    unknown = client(service[0], key="AKIANOBODY")
    wrong = client(service[0], secret="wrong")
    for caller, expected in [(unknown, "InvalidAccessKeyId"), (wrong, "SignatureDoesNotMatch")]:
        refused(expected, caller.list_buckets)
        refused(expected, caller.get_object, Bucket=bucket, Key="k")
        refused(expected, caller.put_object, Bucket=bucket, Key="k", Body=b"y")
    for path in ["/", f"/{bucket}", f"/{bucket}/k"]:
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(service[0] + path)
        assert error.value.code == 403 and b"<Code>AccessDenied</Code>" in error.value.read()
    # Version 2 in a header has no limit in time.
    old = urllib.request.Request(f"{service[0]}/{bucket}/k", headers={"Authorization": "AWS a:b"})
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(old)
    assert error.value.code == 400


def test_read_only_keys_only_read(s3, service, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    reader = client(service[0], key="AKIAREADER")
    assert read(reader, bucket, "k") == b"x"
    assert keys(reader.list_objects_v2(Bucket=bucket)) == ["k"]
    assert reader.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1
    named = {"Bucket": bucket, "Key": "k"}
    refused("AccessDenied", reader.put_object, Body=b"y", **named)
    refused("AccessDenied", reader.delete_object, **named)
    refused("AccessDenied", reader.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    refused("AccessDenied", reader.copy_object, CopySource=named, Bucket=bucket, Key="l")
    refused("AccessDenied", reader.create_multipart_upload, **named)
    refused("AccessDenied", reader.put_object_tagging, Tagging={"TagSet": []}, **named)
    refused("AccessDenied", reader.create_bucket, Bucket="new-bucket")
    refused("AccessDenied", reader.delete_bucket, Bucket=bucket)
    assert read(s3, bucket, "k") == b"x"


def test_what_is_missing_says_so(s3, service, bucket):
    refused("NotImplemented", s3.get_bucket_acl, Bucket=bucket)
    refused("NotImplemented", s3.list_object_versions, Bucket=bucket)
    refused("NotImplemented", s3.put_bucket_policy, Bucket=bucket, Policy="{}")
    refused("NotImplemented", s3.restore_object, Bucket=bucket, Key="k", RestoreRequest={})
    key = {"SSECustomerKey": "0" * 32, "SSECustomerAlgorithm": "AES256"}
    refused("NotImplemented", s3.put_object, Bucket=bucket, Key="k", Body=b"x", **key)
    form = urllib.request.Request(
        f"{service[0]}/{bucket}", b"--x--", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(form)
    assert error.value.code == 403


def test_objects_outlive_a_restart(tmp_path):
    with running(tmp_path / "data") as (address, _):
        s3 = client(address)
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="k", Body=b"x", ContentType="text/csv")
        upload = begin(s3, "kept", "joined", ContentType="text/tsv")
        etag = s3.upload_part(PartNumber=1, Body=b"part", **upload)["ETag"]
    with running(tmp_path / "data") as (address, _):
        s3 = client(address)
        got = s3.get_object(Bucket="kept", Key="k")
        assert (got["Body"].read(), got["ContentType"]) == (b"x", "text/csv")
        complete(s3, upload, [(1, etag)])
        got = s3.get_object(Bucket="kept", Key="joined")
        assert (got["Body"].read(), got["ContentType"]) == (b"part", "text/tsv")
