import os
import sys

for descriptor in range(3, 32):
    try:
        os.write(descriptor, b'{"phase": 1, "facts": {"epochs": "many", "batch_size": [[]], "parameters": -1}}\n')
    except OSError:
        pass
sys.exit("done")
