#!/usr/bin/env bash
# Make .venv-frameworks: the interpreter of the scripts under test that are written with PyTorch, Lightning, Hugging Face,
# accelerate, or Keras on PyTorch or JAX. Safe to run again. Without it those tests are skipped, with the reason.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$PWD/.venv-frameworks

[ -x .venv/bin/python ] || { echo "frameworks: run docs/set_up.sh first." >&2; exit 1; }
want=$( (.venv/bin/python --version; cat tests/frameworks.in tests/frameworks.lock tests/frameworks.sh) | sha256sum)
[ "$(cat "$folder/.locked" 2>/dev/null)" != "$want" ] || exit 0

# The CPU build of PyTorch alone is taken, from where pip looks for wheels (pip's find-links): what an index serves under
# the same version brings gigabytes of CUDA.
torch=$(grep '^torch==' tests/frameworks.in)
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-index --no-deps --dest "$wheels" "$torch" \
    2>/dev/null || {
    echo "frameworks: no CPU build of $torch in pip's find-links; put one in a folder and name it: PIP_FIND_LINKS=FOLDER" >&2
    exit 1; }

echo "frameworks: installing PyTorch, JAX and the trainers built on them into .venv-frameworks (about 2 minutes)" >&2
rm -rf "$folder"
.venv/bin/python -m venv "$folder"
# --no-deps: the lock is whole, and what it holds would else ask the index for PyTorch.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement tests/frameworks.lock
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "$wheels"/*.whl
# torchvision's wheel holds operators for the CUDA build, without which it is not imported: apart from all else, so that
# Lightning and transformers do not find it. Scripts under test that want its data sets get this folder on their path.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/torchvision" \
    torchvision==0.28.0
echo "$want" > "$folder/.locked"
