#!/usr/bin/env bash
# Makes virtual environments of peers' own, .peers/NAME in the repository root, from PyPI with the pins of NAME_constraints.txt:
# setup.sh [spyral] [dranspose], all without an argument. spyral gets the one-word patch without which the release cannot
# write its estimates. Running it again changes nothing. PEER_PYTHON names another interpreter; it must be Python 3.11 or 3.12.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
peers="$(dirname "$(dirname "$here")")/.peers"

say() { printf 'peers: %s\n' "$*"; }
fail() { printf 'peers: error: %s\n' "$*" >&2; exit 1; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }

find_interpreter() {
    if [[ -n "${PEER_PYTHON:-}" ]]; then
        supported "$PEER_PYTHON" || fail "PEER_PYTHON='$PEER_PYTHON' is not a working Python 3.11 or 3.12; name one that is"
        printf '%s' "$PEER_PYTHON"
        return
    fi
    local candidate
    for candidate in python3.11 python3.12 python3; do
        if supported "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "the peers with these pins want Python 3.11 or 3.12 and none is on the path; install one or name it in PEER_PYTHON"
}

# spyral-utils comes as source, and its CMake project looks for Eigen3Config.cmake.
provide_eigen() {
    command -v dpkg-query >/dev/null || return 0
    dpkg-query --show --showformat='${Status}' libeigen3-dev 2>/dev/null | grep -q 'ok installed' && return 0
    if [[ "$(id -u)" -ne 0 ]]; then
        say "libeigen3-dev is missing and this is not root; the build of spyral-utils fails unless CMake finds Eigen3 elsewhere"
        say "to provide it: sudo apt-get install -y libeigen3-dev"
        return 0
    fi
    say "installing the system package libeigen3-dev"
    apt-get install -y -q libeigen3-dev >/dev/null || { apt-get update -q >/dev/null && apt-get install -y -q libeigen3-dev >/dev/null; } \
        || fail "apt-get could not install libeigen3-dev; install it by hand and run this again"
}

# install NAME REQUIREMENT [COMMAND HINT]: COMMAND provides what a first installation needs, HINT says what may be missing
install() {
    environment="$peers/$1" python="$peers/$1/bin/python" requirement="$2"
    if ! supported "$python"; then
        local interpreter
        interpreter="$(find_interpreter)"
        say "making $environment with $("$interpreter" --version)"
        "$interpreter" -m venv --clear "$environment" || fail "'$interpreter -m venv' failed; on Debian it needs the package python3-venv"
    fi
    installed || "${3:-true}"
    "$python" -m pip install --quiet --disable-pip-version-check --constraint "$here/$1_constraints.txt" "$requirement" \
        || fail "pip could not install $requirement${4:+; $4}"
}

installed() {
    "$python" -c 'import sys; from importlib.metadata import version; name, wanted = sys.argv[1].split("=="); sys.exit(version(name) != wanted)' \
        "$requirement" 2>/dev/null
}

spyral() {
    install spyral attpc_spyral==1.1.2 provide_eigen \
        "if CMake did not find Eigen3 above, install libeigen3-dev (Debian) or eigen3-devel (Fedora)"
    patch_estimator
    "$python" -c 'import spyral' || fail "attpc_spyral is installed but does not import; remove $environment and run this again"
    say "ready: $requirement in $environment"
}

dranspose() {
    install dranspose dranspose==0.2.0
    "$python" -c 'import dranspose.replay' || fail "dranspose is installed but does not import; remove $environment and run this again"
    say "ready: $requirement in $environment"
}

patch_estimator() {
"$python" - <<'PATCH' || fail "attpc_spyral is not the release that the patch was written for; remove $environment and run this again"
import sys
from importlib.util import find_spec
from pathlib import Path

released, patched = "            direction=direction,\n", "            direction=direction.value,\n"
source = Path(find_spec("spyral").submodule_search_locations[0], "core", "estimator.py")
text = source.read_text(encoding="utf-8")
match text.count(released), text.count(patched):
    case 0, 1:
        print("peers: patch direction=direction.value is in place")
    case 1, 0:
        source.write_text(text.replace(released, patched), encoding="utf-8")
        print("peers: patched core/estimator.py: direction=direction.value")
    case found:
        sys.exit(f"peers: expected the line to patch once in core/estimator.py, found (released, patched) = {found}")
PATCH
}

(($#)) || set -- spyral dranspose
for peer; do
    case "$peer" in
        spyral | dranspose) "$peer" ;;
        *) fail "there is no peer '$peer'; there are spyral and dranspose" ;;
    esac
done
