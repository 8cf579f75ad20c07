#!/bin/sh
# The one start command: installs what is missing into .venv, then starts everything (see --help).
#   ./serve.sh [--port N] [--host H] [--config langgraph.json] [--data FOLDER]
#   ./serve.sh test [pytest arguments]      runs the whole suite
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
venv=${DEERFLOW_VENV:-$root/.venv}

say() { printf 'deerflow: %s\n' "$*"; }
fail() { printf 'deerflow: %s\n' "$*" >&2; exit 1; }

# A Python of at least 3.11: the newest that is there, or the one that DEERFLOW_PYTHON names.
find_python() {
    for name in ${DEERFLOW_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; install it, or name one: DEERFLOW_PYTHON=/path/to/python3 $0"
}

# install LOCK: make .venv hold what this hashed lock names; a stamp makes the second start quick.
install() {
    stamp=$(cksum <"$root/$1")
    if [ "$(cat "$venv/.deerflow-$1" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "installing $1; the first time this takes a minute or two"
    if command -v uv >/dev/null 2>&1; then
        [ -x "$venv/bin/python" ] || uv venv --quiet --python "$(find_python)" "$venv" || fail "uv could not make $venv"
        VIRTUAL_ENV=$venv uv pip install --compile-bytecode --require-hashes -r "$root/$1" ||
            fail "the packages could not be installed; what uv said stands above"
    else
        if ! [ -x "$venv/bin/python" ]; then
            python=$(find_python)
            "$python" -m venv "$venv" ||
                fail "$python cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv"
        fi
        "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
        pip_install "$1"
    fi
    printf '%s\n' "$stamp" >"$venv/.deerflow-$1"
}

# pip_install LOCK: pip names hundreds of lines or nothing; this tells how far it is, and all of it when it fails.
pip_install() {
    log=$venv/.deerflow-install.log
    total=$(grep -c '^[a-zA-Z0-9].*==' "$root/$1")
    "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$root/$1" >"$log" 2>&1 &
    pip=$!
    trap 'kill $pip 2>/dev/null; exit 130' INT TERM
    told=-1
    while kill -0 $pip 2>/dev/null; do
        done=$(grep -c -e '^Collecting' -e '^Requirement already' "$log" || true)
        if [ "$done" != "$told" ]; then say "$done of $total packages"; fi
        told=$done
        sleep 2
    done
    trap - INT TERM
    wait $pip || { cat "$log" >&2; fail "the packages could not be installed; what pip said stands above"; }
}

PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
install requirements.txt
if [ "${1-}" = test ]; then
    shift
    install requirements-dev.txt
    cd "$root"
    # The suite starts hundreds of processes, and each would compile all modules anew.
    unset PYTHONDONTWRITEBYTECODE
    # Most of the whole suite is waiting for servers: the two databases, and what kills servers, go beside each other.
    if [ $# = 0 ]; then set -- -n 3 --dist loadgroup; fi
    exec "$venv/bin/python" -m pytest "$@"
fi
exec "$venv/bin/python" -m deerflow.cli serve "$@"
