"""Who is asking, also where the machine has no name for them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NAMELESS = """
import os, pwd
from advisor.request.user import user_name
os.setuid(54321)
os.environ.clear()
print(user_name())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without a name")
def test_a_user_without_a_name_is_told_by_the_number() -> None:
    """Containers know no name for most users: no command may end in a traceback for that."""
    done = subprocess.run([sys.executable, "-c", NAMELESS], capture_output=True, text=True, check=True)

    assert "54321\n" == done.stdout
