import os
import sys
import tempfile
from pathlib import Path

scratch = Path(tempfile.gettempdir())
here = Path(__file__).parent
(scratch / "to_folder").symlink_to(here)
(scratch / "to_file").symlink_to(here / "precious")
try:
    os.open(scratch / "to_file", os.O_WRONLY | os.O_TRUNC)
except OSError:
    sys.exit("refused")
