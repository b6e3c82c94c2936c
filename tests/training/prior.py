"""Where the prior's data lies, and the mark for tests that need it."""

from __future__ import annotations

from pathlib import Path

import pytest

PRIOR_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_prior_data = pytest.mark.skipif(
    not (PRIOR_DATA / "delrey2024_runs.csv").is_file(), reason="needs the prior's data in ../shared/data"
)
