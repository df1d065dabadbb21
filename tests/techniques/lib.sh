# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the technique scripts share. A script starts with
#     . "${0%/*}/lib.sh"
# in the environment that tests/harness/techniques.py describes. $T is a directory of its own. All that it
# makes is given back at the end, whatever happened: containers, volumes and images that were not
# there before, daemons, mounts and processes named by at_end, $T.
set -Eeuo pipefail
shopt -s inherit_errexit
SLOW=${FENCE_TEST_SLOW:-1}
SLOW=${SLOW%.*} # bash has whole numbers only
((SLOW >= 1)) || SLOW=1

: "${DOCKER_HOST:?needs a daemon: tests/techniques/run}"
HERE=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
NAME=${0##*/}
MAIN_HOST=$DOCKER_HOST
FENCED=${FENCE_TEST_BIN:+$FENCE_TEST_BIN/}fenced
T=$(mktemp -d "$PWD/t.XXXXXX")
chmod 755 "$T"
export LC_ALL=C HOME=$T/home DOCKER_CONFIG=$T/home/.docker
mkdir -p "$DOCKER_CONFIG"

# ---- assertions --------------------------------------------------------------------------------
note() { printf '%s: %s\n' "$NAME" "$*" >&2; }

fail() {
    local i
    note "FAILED: $*"
    for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do # the first line that is the script's own
        [[ ${BASH_SOURCE[i]} == "${BASH_SOURCE[0]}" ]] || break
    done
    note "  at line ${BASH_LINENO[i - 1]}"
    trap - ERR
    exit 1
}

# is WHAT WANTED GOT
is() { [[ $2 == "$3" ]] || fail "$1: wanted '$2', got '$3'"; }

# like WHAT REGEX GOT
like() { [[ $3 =~ $2 ]] || fail "$1: wanted /$2/, got '$(tail -c 400 <<<"$3")'"; }

# unlike WHAT REGEX GOT
unlike() { [[ ! $3 =~ $2 ]] || fail "$1: did not want /$2/, got '$(tail -c 400 <<<"$3")'"; }

# less WHAT A B: A < B, whole numbers
less() { (($2 < $3)) || fail "$1: wanted less than $3, got $2"; }

# status WANTED COMMAND...: the exit status; stdout is left in $OUT, stderr in $ERR
status() {
    local wanted=$1 rc=0
    shift
    "$@" >"$T/.out" 2>"$T/.err" </dev/null || rc=$?
    OUT=$(tr -d '\0' <"$T/.out") ERR=$(tr -d '\0' <"$T/.err")
    [[ $rc == "$wanted" ]] || fail "$*: wanted status $wanted, got $rc ($OUT $ERR)"
}

# until_true SECONDS COMMAND...: polls until it succeeds; as many times longer as the machine is slow
until_true() {
    local what="${*:2}" end=$((${EPOCHREALTIME/./} + $1 * SLOW * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        ((${EPOCHREALTIME/./} < end)) || fail "in vain waited for: $what"
        sleep 0.02
    done
}

# Milliseconds of a clock.
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

gone() { [[ ! -d /proc/$1 ]]; }

# ---- the engine's state ------------------------------------------------------------------------
# field TEMPLATE NAME
field() { docker inspect --format "$1" "$2"; }
is_state() { [[ $(field '{{.State.Status}}' "$1") == "$2" ]]; }
is_removed() { ! docker inspect "$1"; }
in_log() { docker logs "$1" 2>&1 | grep -q -e "$2"; }
address() { field '{{.NetworkSettings.IPAddress}}' "$1"; }

# copy ...: docker cp without its progress, which older clients cannot be told to leave out
copy() { docker cp "$@" 2>"$T/.cp" || fail "docker cp $*: $(<"$T/.cp")"; }

# free_port PORT: it, or the next that nobody on this host listens at
free_port() {
    local port=$1
    while [[ -n $(ss -Hltn "sport = :$port") ]]; do ((port++)); done
    echo "$port"
}

# volume_dir NAME: where it lies on the host
volume_dir() { docker volume inspect --format '{{.Mountpoint}}' "$1"; }

# ---- giving back -------------------------------------------------------------------------------
CLEANUPS=()

# at_end COMMAND...: done at the end, the last one first
at_end() { CLEANUPS+=("$(printf '%q ' "$@")"); }

# The images of a daemon with their names, one a line.
image_names() { docker images --all --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort -u; }

# Removes what the daemon of $DOCKER_HOST has now and had not at first.
forget_new() {
    local id name round
    docker ps -aq --no-trunc | grep -vxF -f "$T/.containers" | xargs -r docker rm -fv
    docker volume ls -q | grep -vxF -f "$T/.volumes" | xargs -r docker volume rm
    for round in 1 2 3; do # an image may be held by a later one of the list
        image_names | grep -vxF -f "$T/.images" >"$T/.new" || break
        while read -r id name; do
            [[ $name == *'<none>'* ]] && name=$id
            docker rmi -f "$name"
        done <"$T/.new"
    done
}

ended() {
    local rc=$? i
    trap '' EXIT INT TERM
    trap - ERR
    set +eu
    DOCKER_HOST=$MAIN_HOST
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do
        eval "${CLEANUPS[i]}" >/dev/null 2>&1
    done
    forget_new >/dev/null 2>&1
    rm -rf --one-file-system "$T"
    exit "$rc"
}
docker ps -aq --no-trunc >"$T/.containers"
docker volume ls -q >"$T/.volumes"
image_names >"$T/.images"
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'note "FAILED: status $? of: $BASH_COMMAND (line $LINENO)"' ERR

# ---- more daemons ------------------------------------------------------------------------------
# start_daemon NAME [FLAG...]: a daemon of its own below $T/NAME, with socket $T/NAME/s.sock unless flags
# name other -H. Flags win over ours; "daemon" or "-d", the old names of the program, may come first.
# Sets $DAEMON_PID, $DAEMON_HOST, $DAEMON_LOG. It may be started again after stop_daemon. The words of
# the array WRAP go before the program, as in (nsenter --net=...).
declare -A DAEMON_NUMBER=() DAEMON_PIDS=()
WRAP=()
start_daemon() {
    local name=$1 root=$T/$1 word=() number before end
    shift
    [[ ${1:-} != daemon && ${1:-} != -d ]] || { word=("$1") && shift; }
    if [[ -z ${DAEMON_NUMBER[$name]:-} ]]; then
        DAEMON_NUMBER[$name]=${#DAEMON_NUMBER[@]}
        at_end forget_daemon "$name"
        mkdir -p "$root"
        echo '{}' >"$root/daemon.json"
    fi
    number=${DAEMON_NUMBER[$name]}
    DAEMON_HOST=unix://$root/s.sock
    DAEMON_LOG=$root/log
    : >>"$DAEMON_LOG"
    before=$(grep -c 'completed initialization' "$DAEMON_LOG" || true)
    [[ " $*" == *" -H"* || " $*" == *" --host"* ]] || set -- -H "$DAEMON_HOST" "$@"
    setsid "${WRAP[@]}" "$FENCED" "${word[@]}" --data-root "$root/data" --exec-root "$root/run" \
        --pidfile "$root/pid" --bridge "fencet${FENCE_SLOT:-0}t$number" \
        --bip "10.214.$((${FENCE_SLOT:-0} * 3 + number)).1/24" --nft-table "fence_test_${FENCE_SLOT:-0}_$number" \
        --cgroup-parent "/fence-test-${FENCE_SLOT:-0}-$number" --idmap-dir "$root/idmap" --group root \
        --config-file "$root/daemon.json" --shutdown-timeout 1 "$@" >>"$DAEMON_LOG" 2>&1 </dev/null &
    DAEMON_PID=$!
    DAEMON_PIDS[$name]=$DAEMON_PID
    end=$((SECONDS + 20 * SLOW))
    until (($(grep -c 'completed initialization' "$DAEMON_LOG" || true) > before)); do
        [[ -d /proc/$DAEMON_PID ]] || fail "the daemon '$name' did not start: $(tail -n 5 "$DAEMON_LOG")"
        ((SECONDS < end)) || fail "the daemon '$name' is not ready: $(tail -n 5 "$DAEMON_LOG")"
        sleep 0.02
    done
}

# stop_daemon NAME [SIGNAL]: ends it, which must end well unless it is killed
stop_daemon() {
    local pid=${DAEMON_PIDS[$1]:-}
    [[ -n $pid ]] || return 0
    kill "-${2:-TERM}" "$pid"
    unset "DAEMON_PIDS[$1]"
    wait "$pid" || [[ ${2:-} == KILL ]] || fail "the daemon '$1' ended with $?: $(tail -n 5 "$T/$1/log")"
}

# What a daemon of this script leaves on the host goes with it. Containers are removed by a daemon, if need
# be by a new one, because only it knows all that they hold.
forget_daemon() {
    local name=$1 root=$T/$1 number=${FENCE_SLOT:-0}t${DAEMON_NUMBER[$1]} list
    list=$(find "$root" -maxdepth 2 -path '*/containers' -type d -not -empty -printf '%h\n')
    stop_daemon "$name"
    WRAP=()
    for data in $list; do
        start_daemon "$name" -H "unix://$root/end.sock" --data-root "$data"
        docker -H "unix://$root/end.sock" ps -aq | xargs -r docker -H "unix://$root/end.sock" rm -fv
        stop_daemon "$name"
    done
    ip link del "fencet$number"
    nft delete table inet "fence_test_${number/t/_}" || nft delete table ip "fence_test_${number/t/_}"
    find /sys/fs/cgroup -depth -type d -path "*/fence-test-${number/t/-}*" -exec rmdir {} +
}

# ---- terminals ---------------------------------------------------------------------------------
# tty [--status N] SCRIPT COMMAND...: runs the command under a terminal as SCRIPT says (see terminal.py).
# What it wrote is left in $OUT.
tty() {
    local rc=0 wanted=0
    if [[ $1 == --status ]]; then
        wanted=$2
        shift 2
    fi
    /usr/bin/python3 "$HERE/terminal.py" "$@" >"$T/.out" 2>"$T/.err" || rc=$?
    OUT=$(tr -d '\0\r' <"$T/.out") ERR=$(<"$T/.err")
    [[ $rc == "$wanted" ]] || fail "under a terminal, ${*:2}: wanted status $wanted, got $rc: $OUT $ERR"
}

# ---- images ------------------------------------------------------------------------------------
# apt_image NAME PACKAGES: debian with packages, installed by apt in a container once, and kept as an
# archive for later runs.
apt_image() {
    local cache=${FENCE_TEST_CACHE:-/var/tmp/fence-test-cache} archive base
    base=$(field '{{json .RootFS.Layers}}' debian)
    archive=$cache/techniques-$(sha256sum <<<"$2$base" | cut -c1-12).tar
    if [[ -z $(docker images -q "$1") ]]; then
        if [[ ! -s $archive ]]; then
            mkdir -p "$cache"
            docker run --name apt debian sh -c "apt-get update -q && DEBIAN_FRONTEND=noninteractive \
                apt-get install -qy --no-install-recommends $(echo $2) && apt-get clean &&
                rm -rf /var/lib/apt/lists/*" >"$T/.apt" 2>&1 || fail "apt: $(tail -n 5 "$T/.apt")"
            docker commit -c 'CMD ["bash"]' apt "$1" >/dev/null
            docker rm apt >/dev/null
            docker save "$1" >"$archive.$$"
            mv "$archive.$$" "$archive"
        else
            docker load -q -i "$archive" >/dev/null
        fi
    fi
    image_names | grep "$1" >>"$T/.images" # it stays for the next script
}

# debian:tools has the programs that the book's images have.
TOOLS="procps iputils-ping net-tools iproute2 netcat-openbsd socat strace stress openssh-client
    openssh-server sshfs cron python3-minimal"
tools_image() { apt_image debian:tools "$TOOLS"; }

# debian:cluster has etcd and nginx.
cluster_image() { apt_image debian:cluster 'etcd-server etcd-client nginx curl jq wget python3'; }
