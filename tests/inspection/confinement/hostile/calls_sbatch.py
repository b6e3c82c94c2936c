import ctypes
import os
import subprocess
import sys

subprocess.run(["sbatch", "job.sh"], check=True)
os.system("sbatch job.sh")
ctypes.CDLL(None).system(b"sbatch job.sh")
for call in (os.execvp, os.posix_spawnp):
    try:
        call("sbatch", ["sbatch", "job.sh"], *([os.environ] if call is os.posix_spawnp else []))
    except PermissionError:
        pass
sys.exit("done")
