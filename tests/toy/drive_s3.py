"""Like drive.py, with places to die at on the way into a bucket."""

from __future__ import annotations

import sys

import drive

from penstock.store._objects import Bucket

drive.PLACES |= {
    "before-upload": (Bucket, "upload", True),
    "before-create": (Bucket, "put_if_absent", True),
    "after-create": (Bucket, "put_if_absent", False),
}

if __name__ == "__main__":
    sys.exit(drive.main())
