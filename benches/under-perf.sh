# The floor, ours, and ours with a thread of its own, each under perf in the same round. For benches/perf and benches/syscalls, which
# begin with it: in the project's folder, with "seconds" set.

if ! command -v perf >/dev/null; then
    echo "skipped: perf is not installed (apt-get install linux-perf)" >&2
    exit 0
fi

nice cargo build --quiet --profile measured -p zk-bench
bench=${CARGO_TARGET_DIR:-$PWD/target}/measured/zk-bench
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
watchers="floor ours own"

# recorded HOW NAME WATCHER: a program that does what zk-bench's WATCHER does, under "perf record HOW", which goes to NAME.data.
recorded() {
    printf '#!/bin/sh\nexec perf record -q %s -o "%s/%s.data" -- "%s" %s "$@" 2>>"%s/log"\n' \
        "$1" "$scratch" "$2" "$bench" "$3" "$scratch" >"$scratch/$2"
    chmod +x "$scratch/$2"
}

# record HOW: all of them.
record() {
    recorded "$1" floor floor-watcher
    recorded "$1" ours peer-watcher
    recorded "$1" own "peer-watcher --runtime own-thread"
}

# round TITLE ARGUMENTS..: a round of zk-bench with them; its heading.
round() {
    title=$1
    shift
    echo "$0: $title" >&2
    rm -f "$scratch"/*.data
    "$bench" "$@" --in-memory --rounds 1 --rounds-max 1 --seconds "$seconds" "--watcher=the floor, under perf=$scratch/floor" \
        "--watcher=ours, under perf=$scratch/ours" "--watcher=own, under perf=$scratch/own" >"$scratch/said" 2>&1 &&
        [ -s "$scratch/floor.data" ] && [ -s "$scratch/ours.data" ] && [ -s "$scratch/own.data" ] || {
        cat "$scratch/said" "$scratch/log" >&2
        exit 1
    }
    printf '\n## %s: zk-bench %s --in-memory --seconds %s\n' "$title" "$*" "$seconds"
}

# Where, when and of what.
machine() {
    echo "# \"own\" is the program of \"ours\" with Connector::own_thread."
    printf '# %s, %s cores, Linux %s, %s, %s, commit %s, profile measured\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(uname -r)" "$(date +%F)" "$(rustc --version)" \
        "$(git rev-parse --short HEAD)"
}
