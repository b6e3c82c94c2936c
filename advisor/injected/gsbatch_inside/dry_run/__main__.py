"""Entry: ``python .../gsbatch_inside/dry_run FILE``, a specification in JSON (see runner.py)."""

import os
import sys

_INJECTED = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

if __name__ == "__main__":
    # The script must find its own folder first on sys.path and nothing of ours; the modules we need are loaded once.
    sys.path[0] = _INJECTED
    from gsbatch_inside.dry_run import runner

    with open(sys.argv[1], encoding="utf-8") as _file:
        _specification = _file.read()
    runner.main(_specification)
