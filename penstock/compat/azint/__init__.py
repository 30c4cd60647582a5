"""The interface of ``azint``, the azimuthal integration of MAX IV, served by penstock: workers written for it run without a change.

`install` makes ``import azint`` find it where azint is not installed, or where that is asked for; nothing in penstock is called
``azint`` on the import path without it. What is served, and in what it differs: docs/explanation/azimuthal.md. No code of azint is in here.
"""

from penstock.compat.azint.serving import install

__all__ = ["install"]
