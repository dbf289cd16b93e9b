"""The judges and places that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from helpers import SHARED_MODELS
from hypothesis import HealthCheck, settings
from judges import TfjsJudge
from ml5_judge import Ml5Judge
from serving import Server, serving
from tfjs_client import TfjsClient

settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))

# The real models lie beside the repository where it is developed, and nowhere else.
collect_ignore = [] if SHARED_MODELS.is_dir() else ["test_shared_models.py", "test_shared_running.py"]


@pytest.fixture(scope="session")
def judge() -> Iterator[TfjsJudge]:
    """Real tf.js in node. Without node the tests that ask for it fail; they are never skipped."""
    with TfjsJudge() as started:
        yield started


@pytest.fixture(scope="session")
def ml5_judge() -> Iterator[Ml5Judge]:
    """Real ml5 1.4.0 and 0.12.2 in Chromium. Without them the tests that ask for it fail; they are never skipped."""
    with Ml5Judge() as started:
        yield started


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The real server with its defaults. Tests that fill it or count what is left start one of their own."""
    with serving() as started:
        yield started


@pytest.fixture(scope="session")
def tfjs() -> Iterator[TfjsClient]:
    """Real tf.js in node as a client of a server."""
    with TfjsClient() as started:
        yield started
