from __future__ import annotations

from pathlib import Path

import pytest

from penstock.core.errors import ConfigError
from penstock.store._objects_address import Address, default_cache, find_address


@pytest.mark.parametrize(
    ("path", "url", "base"),
    [
        ("s3://bucket", "s3://bucket", None),
        ("s3://bucket/a/b/", "s3://bucket/a/b", None),
        ("/data/e20009/s3://bucket/a", "s3://bucket/a", Path("/data/e20009")),
    ],
    ids=["bucket", "prefix", "relative to an experiment"],
)
def test_an_address_is_recognised_although_paths_fold_slashes(path: str, url: str, base: Path | None) -> None:
    found = find_address(Path(path))

    assert found is not None
    assert (found[0].url, found[1]) == (url, base)


def test_a_folder_is_no_address() -> None:
    assert find_address(Path("/data/s3/store")) is None


def test_an_address_without_bucket_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^store s3://: names no bucket\. Write s3://BUCKET/PREFIX\.$"):
        find_address(Path("s3://"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secret": "x"}, r"^\[store\.options\] 'secret': credentials do not belong into experiment\.toml\. Set AWS_ACCESS_KEY_ID"),
        (
            {"endpoint": "x"},
            r"^\[store\.options\] 'endpoint' is not known \(endpoint_url, region, addressing\)\. Did you mean 'endpoint_url'\?$",
        ),
        ({"addressing": "x"}, r"^\[store\.options\] addressing is 'x', expected 'path' or 'virtual'\.$"),
    ],
    ids=["secret", "unknown", "addressing"],
)
def test_an_option_that_is_wrong_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Address("b", "").with_options(options)


def test_the_cache_lies_beside_the_experiment_or_among_the_caches_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")

    assert default_cache(Address("b", ""), Path("/data")) == Path("/data/store-cache")
    assert default_cache(Address("b", ""), None).parent == Path("/caches/penstock/stores")
    assert default_cache(Address("b", ""), None) != default_cache(Address("b", "p"), None)
