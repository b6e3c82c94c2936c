import os
import subprocess
import sys
from multiprocessing.pool import Pool, ThreadPool

rows, columns = os.popen("stty size", "r").read().split()
said = subprocess.check_output(["stty", "size"]).split()
commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout
with Pool(4) as pool, ThreadPool(4) as threads:
    squares = pool.map(abs, range(-2, 0)), list(threads.imap(abs, range(-2, 0)))
sys.exit(repr((rows, columns, said, commit, squares)))
