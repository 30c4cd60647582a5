"""What went wrong between us and an object store, in words that say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.core.errors import ConfigError, PenstockError, StoreError
from penstock.store._objects_address import Address

__all__ = ["FORBIDDEN", "code_of", "translate_bucket_errors"]

_CREDENTIALS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "InvalidClientTokenId",
    "RequestTimeTooSkewed",
)
FORBIDDEN = ("AccessDenied", "AllAccessDisabled", "403")
_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


def code_of(error: BaseException | None) -> str:
    """The code that the server gave, such as ``NoSuchKey``; empty where it gave none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return ""


@contextmanager
def translate_bucket_errors(address: Address) -> Iterator[None]:
    """Turn errors of the client and the server into ours; those of the local disk pass."""
    import aiohttp
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except PenstockError:
        raise
    except (OSError, BotoCoreError, ClientError, aiohttp.ClientError) as error:
        code = code_of(error)
        if not code and isinstance(error, OSError) and error.errno in _DISK:
            raise
        raise _explain(address, error, code) from error


def _explain(address: Address, error: BaseException, code: str) -> PenstockError:
    who = f"store {address.url}"
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound", "NoAuthTokenError"):
        return ConfigError(f"{who}: there are no credentials ({error}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.")
    if code in _CREDENTIALS:
        return ConfigError(
            f"{who}: {address.server} refuses the credentials ({code}){_identity()}. "
            "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        )
    if code in FORBIDDEN:
        return ConfigError(
            f"{who}: {address.server} forbids it ({code}){_identity()}. Correct the credentials, or ask for the right to list, read, write and delete in bucket {address.bucket!r}."
        )
    if code == "NoSuchBucket":
        return ConfigError(f"{who}: {address.server} has no bucket {address.bucket!r}. Create it, or correct [store] path.")
    if code in _ELSEWHERE:
        return ConfigError(f"{who}: the bucket lies in another region ({code}). Name it: [store.options] region, or AWS_DEFAULT_REGION.")
    if name in ("InvalidRegionError", "ParamValidationError", "InvalidEndpointConfigurationError") or isinstance(error, ValueError):
        return ConfigError(f"{who}: the address is not valid ({_first_line(error)}). Correct [store] path and endpoint_url.")
    return StoreError(
        f"{who}: {address.server} does not answer as it should ({name}: {_first_line(error)}). "
        "What was committed stays, and blocks that were computed wait in the cache: run the same command again when it does."
    )


def _identity() -> str:
    """Who we said we are: where the credentials came from, and the beginning of the identifier, which is no secret."""
    if access := os.environ.get("AWS_ACCESS_KEY_ID"):
        return f" of access key {access[:4]}... from the environment"
    if profile := os.environ.get("AWS_PROFILE"):
        return f" of profile {profile!r}"
    return " of AWS's configuration files"


def _first_line(error: BaseException) -> str:
    return (str(error) or repr(error)).strip().splitlines()[0]
