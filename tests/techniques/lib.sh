# Sourced by the technique scripts. shellcheck shell=bash
set -euo pipefail

fail() { printf '%s\n' "$*" >&2; exit 1; }
skip() { printf '%s\n' "$*"; exit 77; }

# equal ACTUAL EXPECTED [WHAT]
equal() { [[ $1 == "$2" ]] || fail "${3:-}: got '$1', not '$2'"; }
# contains TEXT PART [WHAT]
contains() { [[ $1 == *"$2"* ]] || fail "${3:-}: no '$2' in '$1'"; }
lacks() { [[ $1 != *"$2"* ]] || fail "${3:-}: '$2' is in '$1'"; }
# status EXPECTED COMMAND...: its exit status, its output to output.txt
status() {
    local expected=$1 got=0
    shift
    "$@" >output.txt 2>&1 || got=$?
    [[ $got == "$expected" ]] || fail "$*: ended with $got, not $expected: $(cat output.txt)"
}
# until_true COMMAND...: within ten seconds
until_true() {
    local n
    for ((n = 0; n < 200; n++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    fail "did not become true: $*"
}

# own_daemon NAME [FLAG...]: a second daemon, on roots under ./NAME; sets OWN_HOST and OWN_PID.
# Flags come last, so that they win. It is ended with the script.
own_daemon() {
    local name=$1 n=${#own_pids[@]} fenced=fenced
    shift
    [[ -n ${FENCE_TEST_BIN:-} ]] && fenced=$FENCE_TEST_BIN/fenced
    OWN_HOST=unix://$PWD/$name.sock
    "$fenced" --data-root "$PWD/$name.data" --exec-root "$PWD/$name.run" --pidfile "$PWD/$name.pid" \
        --bridge "fencet${FENCE_SLOT}t$n" --bip "10.214.$((FENCE_SLOT * 3 + n)).1/24" \
        --nft-table "fence_test_${FENCE_SLOT}_$n" --cgroup-parent "/fence-test-$FENCE_SLOT" \
        --idmap-dir "$PWD/idmap" --group root --config-file /dev/null --shutdown-timeout 1 \
        -H "$OWN_HOST" "$@" >"$name.log" 2>&1 &
    OWN_PID=$!
    own_pids+=("$OWN_PID")
    until_true docker -H "$OWN_HOST" version
}
end_daemon() {
    kill "$1" 2>/dev/null || return 0
    wait "$1" || true
}
own_pids=()
end_own_daemons() {
    local pid
    for pid in "${own_pids[@]}"; do end_daemon "$pid"; done
}
trap end_own_daemons EXIT
