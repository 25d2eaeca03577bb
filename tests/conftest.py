"""Models and servers that the tests of a session share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kit import models, servers  # noqa: E402


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def linear_model(model_folder):
    return models.save_linear(model_folder / "linear.onnx")


@pytest.fixture(scope="session")
def booster(model_folder):
    """An XGBoost model: its path, and the booster that wrote it."""
    path = model_folder / "booster.json"
    return path, models.save_booster(path)


@pytest.fixture(scope="session")
def container():
    with servers.container() as address:
        yield address


@pytest.fixture(scope="session")
def store():
    with servers.object_store() as environment:
        yield environment
