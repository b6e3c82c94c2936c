import os
import shutil
import sys
import tempfile
from pathlib import Path

said = []
with open("log", "w") as file:
    file.write("log")
said.append(open("log").read())
os.makedirs("runs/a/b", exist_ok=True)
Path("runs/a/b/c.txt").write_text("more")
said.append(os.listdir("runs/a/b"))
with open("runs/a/b/c.txt", "a") as file:
    file.write(" and more")
said.append(Path("runs/a/b/c.txt").read_text())
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "x").write_bytes(b"1")
    os.rename(f"{folder}/x", f"{folder}/y")
    said.append(os.listdir(folder))
for made in (tempfile.TemporaryFile, tempfile.NamedTemporaryFile):
    with made() as file:
        file.write(b"1")
with open(os.devnull, "w") as file:
    file.write("x")
shutil.rmtree("runs")
sys.exit(repr(said))
