#!/usr/bin/env bash
# Resolve every dependency anew in a clean environment, and write what came out to constraints.txt.
# Usage: tools/constraints.sh PYTHON TORCH, such as: tools/constraints.sh python3.11 2.13.0, from the root of the project
#
# Take the oldest Python that the project supports: what is chosen there installs on newer ones too.
set -euo pipefail
python=$1 torch=${2:?name the release of torch to pin, such as: make constraints TORCH=2.13.0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet "torch==$torch" '.[train,dev,bench,phone]'
{
    echo "# What make installs, release by release, so that a set-up repeats. Written by make constraints, with $("$python" --version)."
    echo "# What one platform alone needs is left out, such as the CUDA packages that torch itself asks for by exact release."
    "$work/venv/bin/python" -m pip freeze --all |
        grep -v -i -e '^pip==' -e '^shopstill' -e '^nvidia-' -e '^cuda-' -e '^triton' | sed 's/+cpu$//'
} >"$work/constraints.txt"
mv "$work/constraints.txt" constraints.txt
