import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, max_examples=25)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of development data sets: SISEG_DATA, or shared/data beside the repository; skips without it."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("SISEG_DATA") or default)
    if not root.is_dir():
        pytest.skip("the development data sets are not here; set SISEG_DATA to their folder")
    return root


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _has_cuda():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _has_cuda() -> bool:
    import torch  # only where a test needs it: many of them are about doing without

    return torch.cuda.is_available()
