"""Errors that a user can cause; each becomes one line on the screen.

WsgcnError
├── UsageError        wrong use: an unknown key, option or method; exit code 2
└── DataError         bad data: a broken photograph, mask, CAM or checkpoint; exit code 1
    └── StageError    some images of a stage failed; the others were made; exit code 1
"""

from __future__ import annotations

from collections.abc import Mapping


class WsgcnError(Exception):
    """Base of every error that is shown as one line. The message says what is wrong, where, and what to do."""

    exit_code = 1


class UsageError(WsgcnError):
    """The command or ``params.yaml`` asks for something that does not exist."""

    exit_code = 2


class DataError(WsgcnError):
    """A file is missing, broken, or does not fit the others."""


SHOWN = 3
"""Failures that are spelled out where every image failed for the same reason."""


class StageError(DataError):
    """A stage went through all its images and some of them failed.

    Attributes:
        failures: reason by image id.
    """

    def __init__(self, stage: str, failures: Mapping[str, str], total: int):
        self.failures = dict(failures)
        reasons = [f"{image_id}: {reason}" for image_id, reason in sorted(failures.items())]
        kinds = {reason.replace(image_id, "") for image_id, reason in failures.items()}
        if len(kinds) == 1 and len(reasons) == total > SHOWN:  # a thousand names would say no more
            reasons[SHOWN:] = [f"and so all the other {total - SHOWN}"]
        listed = "; ".join(reasons)
        super().__init__(
            f"{stage}: {len(failures)} of {total} images failed. Mend these and run it again, "
            f"what is done stays done: {listed}"
        )
