"""What a store in a bucket does beyond what every store does (`test_store`, `test_gc`, `test_attempts`)."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from reals3 import BucketBench, S3Server, data_name, flipped
from toybench import attempt_of, commit, make_hits, same_records
from toyline.schemas import Hits

from penstock.core.canonical import Key
from penstock.core.errors import ConfigError, DamagedArtifact, StoreError
from penstock.store import Store, _objects, _objects_cache, empty_trash, find_garbage, hash_file
from penstock.store._objects import Bucket
from penstock.store._objects_errors import translate_bucket_errors

KEY = Key("a" * 32)


@pytest.fixture
def shared(s3_server: S3Server, tmp_path: Path) -> Iterator[BucketBench]:
    """A store in a bucket, which several hosts share."""
    made = BucketBench(s3_server, tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def elsewhere(shared: BucketBench) -> Iterator[Store]:
    """The same store as another host sees it."""
    with shared.again("elsewhere") as store:
        yield store


def test_what_one_host_commits_another_reads(shared: BucketBench, elsewhere: Store) -> None:
    records = make_hits(20)

    key = commit(shared.store, "one", records)

    assert same_records(elsewhere.read(elsewhere.manifest(key), Hits), records)


def test_of_two_committers_one_wins_and_both_have_its_artifact(
    shared: BucketBench, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_there, create = threading.Barrier(2), Bucket.create

    def create_together(bucket: Bucket, name: str, text: str) -> str:
        both_there.wait(timeout=60)
        return create(bucket, name, text)

    attempts = [attempt_of(store, KEY, make_hits(5)) for store in (shared.store, elsewhere)]
    monkeypatch.setattr(Bucket, "create", create_together)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda made: made[0].publish(made[1], Hits, 0.0), attempts)

    assert first == second == shared.store.manifest(KEY)
    assert len({name.split("/")[3] for name in shared.names("objects")} - {"manifest.json"}) == 2
    shared.age()
    shared.store.set_ref("e/default/run-0001/toy.made", KEY)
    assert [g.what for g in find_garbage(shared.store)] == ["attempt that did not win"]


def test_a_put_whose_answer_was_lost_counts(shared: BucketBench, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, manifest = attempt_of(shared.store, KEY, make_hits(5))
    put = Bucket.put_if_absent

    def put_and_fail(bucket: Bucket, name: str, text: str) -> bool:
        put(bucket, name, text)
        raise StoreError("the answer was lost")

    monkeypatch.setattr(Bucket, "put_if_absent", put_and_fail)

    assert attempt.publish(manifest, Hits, 0.0) == manifest


def test_an_upload_that_is_short_is_not_published(shared: BucketBench, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, manifest = attempt_of(shared.store, KEY, make_hits(5))
    monkeypatch.setattr(Bucket, "upload", lambda *_: None)

    with pytest.raises(StoreError, match=r"an upload did not arrive: .*data\.h5 is missing\. Run the same command again\.$"):
        attempt.publish(manifest, Hits, 0.0)
    assert not shared.store.has(KEY)


def test_a_large_file_goes_up_in_parts(shared: BucketBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_objects, "_PART", 5 << 20)
    path = tmp_path / "large"
    path.write_bytes(os.urandom((11 << 20) + 7))

    shared.bucket.upload({"large": path})

    assert shared.bucket.listing("")["large"].size == path.stat().st_size
    assert shared.bucket.hash("large") == hash_file(path)


def test_a_file_that_is_too_long_for_the_parts_goes_up_in_longer_ones(
    shared: BucketBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_objects, "_PART", 5 << 20)
    monkeypatch.setattr(_objects, "_MOST_PARTS", 2)
    path = tmp_path / "large"
    path.write_bytes(bytes(12 << 20))

    shared.bucket.upload({"large": path})

    # The number of parts stands at the end of the tag.
    assert shared.bucket._call("head_object", "large")["ETag"].strip('"').endswith("-2")
    assert shared.bucket.hash("large") == hash_file(path)


def test_uploads_in_parts_that_nobody_finished_are_given_up(shared: BucketBench) -> None:
    shared.bucket._call("create_multipart_upload", "objects/large")

    assert shared.bucket.drop_uploads(-60.0) == 1
    assert shared.bucket.drop_uploads(-60.0) == 0


def test_a_trash_is_emptied_although_unfinished_uploads_may_not_be_listed(shared: BucketBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(bucket: Bucket, older_s: float) -> int:
        with translate_bucket_errors(bucket.address):
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListMultipartUploads")

    monkeypatch.setattr(Bucket, "drop_uploads", deny)
    shared.bucket.write("trash/one/data.h5", "data")
    message = (
        f"store {shared.address}: the trash is empty, but unfinished uploads cannot be given up (AccessDenied). Ask for the rights "
        "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or let a rule of the bucket do that."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        empty_trash(shared.store)
    assert shared.names("trash") == []


@pytest.mark.parametrize("s3_server", [pytest.param("ceph", marks=pytest.mark.slow)], indirect=True)  # moto dates all uploads to 2010
def test_uploads_that_are_under_way_are_left_alone(shared: BucketBench) -> None:
    shared.bucket._call("create_multipart_upload", "objects/large")

    assert shared.bucket.drop_uploads(3600.0) == 0


def test_an_artifact_is_fetched_once_however_many_ask(shared: BucketBench, elsewhere: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key = commit(shared.store, "one")
    fetched: list[int] = []
    download = Bucket.download

    def count(bucket: Bucket, files: dict[str, Path]) -> None:
        fetched.append(len(files))
        download(bucket, files)

    monkeypatch.setattr(Bucket, "download", count)
    with ThreadPoolExecutor(4) as pool:
        homes = list(pool.map(lambda _: elsewhere.home(key), range(4)))

    assert fetched == [1]
    assert {h / "manifest.json" for h in homes} == {elsewhere.root / f"objects/{key[:2]}/{key}/manifest.json"}


def test_a_copy_that_is_evicted_when_it_is_asked_for_is_fetched_again(shared: BucketBench, monkeypatch: pytest.MonkeyPatch) -> None:
    key, touch = commit(shared.store, "one"), _objects_cache._touch

    def evict_first(home: Path) -> bool:
        monkeypatch.setattr(_objects_cache, "_touch", touch)
        shared.store.evict(spare_s=0.0)
        return touch(home)

    monkeypatch.setattr(_objects_cache, "_touch", evict_first)

    assert (shared.store.home(key) / "manifest.json").exists()
    assert shared.store.has(key)


def test_a_reader_keeps_the_file_that_it_has_open_when_the_copy_is_evicted(shared: BucketBench) -> None:
    key = commit(shared.store, "one")
    with (shared.store.root / data_name(shared.store, key)).open("rb") as stream:
        assert shared.store.evict(spare_s=0.0) == (1, 0)

        assert stream.read() == shared.read(data_name(shared.store, key))


def test_a_download_that_fails_leaves_nothing_in_the_cache(shared: BucketBench, elsewhere: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_up(bucket: Bucket, files: dict[str, Path]) -> None:
        next(iter(files.values())).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    key = commit(shared.store, "one")
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "download", fill_up)
        with pytest.raises(StoreError, match=r"disk is full .* \(penstock store gc --cache --hours 1\)"):
            elsewhere.home(key)

    assert [p for p in (elsewhere.root / "objects").rglob("*") if p.is_file()] == []
    assert same_records(elsewhere.read(elsewhere.manifest(key), Hits), make_hits(10))


def test_a_group_may_share_a_cache(shared: BucketBench, s3_server: S3Server, tmp_path: Path) -> None:
    cache = tmp_path / "group"
    cache.mkdir()
    cache.chmod(0o2775)
    with Store(shared.address, cache=cache) as store:
        key = commit(store, "one")
        shared.store.home(key)

        ours = [store.home(key) / "manifest.json", *(cache / "locks").iterdir()]
        assert {stat.S_IMODE(p.stat().st_mode) for p in ours} == {0o664}


def test_an_object_that_was_changed_is_not_let_into_the_cache(shared: BucketBench, elsewhere: Store) -> None:
    key = commit(shared.store, "one")
    name = data_name(shared.store, key)
    shared.write(name, flipped(shared.read(name) or b""))
    message = f"{shared.store.name}/{name}: does not match its checksum. Run: penstock store verify {key.short}"

    with pytest.raises(DamagedArtifact, match=f"^{re.escape(message)}$"):
        elsewhere.home(key)
    assert not (elsewhere.root / name).exists()


def test_a_copy_of_an_artifact_that_was_replaced_is_replaced_too(shared: BucketBench, elsewhere: Store) -> None:
    key = commit(shared.store, "one")
    elsewhere.home(key)
    shared.store.set_aside(key)
    commit(shared.store, "one")

    assert elsewhere.data_folder(key).parts[-1] == Path(data_name(shared.store, key)).parts[-2]
    assert same_records(elsewhere.read(elsewhere.manifest(key), Hits), make_hits(10))


def test_the_cache_may_go_and_nothing_is_lost(shared: BucketBench, elsewhere: Store) -> None:
    key = commit(shared.store, "one", ref="e/default/run-0001/toy.made")

    assert elsewhere.rebuild() == 1
    assert elsewhere.resolve(key[:10]) == key
    assert elsewhere.index.refs() == {"e/default/run-0001/toy.made": key}


def test_copies_that_were_not_used_for_long_are_evicted_first(shared: BucketBench) -> None:
    keys = [commit(shared.store, name) for name in ("one", "two", "three")]
    for hours, key in enumerate(keys):
        path = shared.store.home(key) / "manifest.json"
        os.utime(path, (path.stat().st_mtime - 3600 * (48 - hours),) * 2)
    size = sum(p.stat().st_size for p in (shared.store.root / "objects").glob(f"*/{keys[2]}/**/*") if p.is_file())

    removed, left = shared.store.evict(spare_s=3600.0, keep_bytes=size)

    assert (removed, left) == (2, size)
    assert [(shared.store.root / "objects" / k[:2] / k).exists() for k in keys] == [False, False, True]
    assert all(damage is None for _, damage in shared.store.verify())


def test_copies_that_were_just_used_stay(shared: BucketBench) -> None:
    commit(shared.store, "one")

    assert shared.store.evict(spare_s=3600.0)[0] == 0


def test_a_folder_has_no_cache_to_evict_from(tmp_path: Path) -> None:
    with (
        Store(tmp_path) as store,
        pytest.raises(ConfigError, match=r"is a folder and has no cache\. Remove what nothing needs with: penstock store gc --yes$"),
    ):
        store.evict(spare_s=0.0)


def test_hosts_agree_on_the_identity_of_a_store(shared: BucketBench, elsewhere: Store) -> None:
    assert (shared.store.root / "penstock-store-id").read_text() == (elsewhere.root / "penstock-store-id").read_text()


def test_a_store_that_is_not_there_is_not_made_by_looking(s3_server: S3Server, tmp_path: Path) -> None:
    address = s3_server.new_address()

    with pytest.raises(StoreError, match=rf"^store {address}: there is none\. Correct the address"):
        Store(address, cache=tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_serves_one_bucket(shared: BucketBench, s3_server: S3Server) -> None:
    other = s3_server.new_address()
    message = f"[store] cache: {shared.store.root} is the cache of {shared.address}. Name another folder for the cache of {other}."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Store(other, cache=shared.store.root)


def test_a_cache_of_a_store_that_was_replaced_at_its_address_is_refused(shared: BucketBench) -> None:
    """The index in it would say of results that are gone that they are current."""
    commit(shared.store, "one")
    for name in shared.bucket.listing(""):
        shared.bucket.remove(name)
    message = (
        f"[store] cache: {shared.store.root} is of another store, which lay at {shared.address} before. "
        "If that is meant, remove the folder; if not, correct [store] path and endpoint_url."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        shared.again()
    assert shared.bucket.listing("") == {}
    shared.again("elsewhere").close()
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        shared.again()


def test_processes_that_share_a_cache_may_make_its_store_at_the_same_moment(shared: BucketBench, monkeypatch: pytest.MonkeyPatch) -> None:
    read_many, looks = Bucket.read_many, []

    def look_too_early(bucket: Bucket, names: Iterable[str]) -> dict[str, str]:
        looks.append(names)
        return {} if len(looks) == 1 else read_many(bucket, names)

    monkeypatch.setattr(Bucket, "read_many", look_too_early)

    with shared.again() as store:
        assert store.place.root == shared.store.root
        assert len(looks) > 1


def test_a_store_is_no_cache(s3_server: S3Server, tmp_path: Path) -> None:
    Store(tmp_path).close()

    with pytest.raises(ConfigError, match=r"^\[store\] cache: .* is a store itself\. Name another folder for the cache of s3://"):
        Store(s3_server.new_address(), cache=tmp_path)


def test_a_marker_of_a_cache_that_is_damaged_is_an_error(shared: BucketBench) -> None:
    (shared.store.root / "penstock-cache.json").write_text("{")

    with pytest.raises(
        StoreError, match=r"^cache .*: penstock-cache\.json is damaged \(.*\)\. Remove that file and run the same command again\.$"
    ):
        shared.again()


def test_a_server_that_ignores_conditions_is_refused(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Bucket._call
    monkeypatch.setattr(Bucket, "_call", lambda *a, **options: call(*a, **{n: v for n, v in options.items() if n != "IfNoneMatch"}))
    address = s3_server.new_address()
    message = (
        f"store {address}: {s3_server.url} ignores 'If-None-Match: *' of a put, so that two processes could publish one key. "
        "Use a server that keeps conditional puts (see docs, object store), or a store in a folder."
    )

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        Store(address, cache=tmp_path)


def test_a_bucket_that_is_not_there_is_named(s3_server: S3Server, tmp_path: Path) -> None:
    message = f"store s3://nobody/x: {s3_server.url} has no bucket 'nobody'. Create it, or correct [store] path."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Store("s3://nobody/x", cache=tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("AWS_SECRET_ACCESS_KEY", "not-the-secret", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "AKIANOBODY", "InvalidAccessKeyId")],
    ids=["secret", "access key"],
)
def test_credentials_that_are_refused_are_named_without_the_secret(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: str
) -> None:
    monkeypatch.setenv(name, value)
    address = s3_server.new_address()

    with pytest.raises(ConfigError) as caught:
        Store(address, cache=tmp_path)

    assert str(caught.value) == (
        f"store {address}: {s3_server.url} refuses the credentials ({code}) of access key AKIA... from the environment. "
        "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
    )


def test_who_may_not_write_is_told_what_is_needed(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access, secret = s3_server.reader
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    message = r"forbids it \(AccessDenied\) of access key .*\. Correct the credentials, or ask for the right to list, read, write and delete in bucket 'results'\.$"

    with pytest.raises(ConfigError, match=message):
        Store(s3_server.new_address(), cache=tmp_path)


def test_no_credentials_are_said_to_be_missing(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(
        ConfigError,
        match=r"^store s3://.*: there are no credentials \(.*\)\. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE\.$",
    ):
        Store(s3_server.new_address(), cache=tmp_path)


def test_a_server_that_does_not_answer_is_named(s3_server: S3Server, tmp_path: Path) -> None:
    message = r"^store s3://results/x: http://127\.0\.0\.1:1 does not answer as it should \(EndpointConnectionError: .*\)\. What was committed stays"

    with pytest.raises(StoreError, match=message):
        Store("s3://results/x", cache=tmp_path, options={"endpoint_url": "http://127.0.0.1:1"})


def test_without_its_package_a_bucket_is_refused_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_objects, "find_spec", lambda _: None)

    with pytest.raises(ConfigError, match=r"^store s3://absent/x: needs the package s3fs\. Install it with: pip install 'penstock\[s3\]'$"):
        Store("s3://absent/x", cache=tmp_path)
