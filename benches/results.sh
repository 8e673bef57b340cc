#!/bin/sh
# Everything on RESULTS.md, by one command: runs the measurements one after the other, then makes the page and its plots.
#
#   benches/results.sh [NAME ..]           all measurements, or those named; one to three hours, on a machine with nothing else to do
#   benches/results.sh --short [NAME ..]   each for a moment, to see that it works; into target/results-short
#   benches/results.sh --list              the names
#
# What fails is told at the end, and does not stop the others. Needs Java; mvn and javac for the Java clients, valgrind for
# the instruction counts. ZK_BENCH_ARGS is added to every measurement, for example "--connect zk1,zk2".
set -u
cd "$(dirname "$0")/.."

short=
case ${1:-} in
    --short) short=1; shift ;;
    --list) sed -n 's/^run \([^ ]*\) .*/\1/p' "$0"; exit 0 ;;
esac

if [ -n "$short" ]; then
    out=target/results-short page=target/results-short/RESULTS.md
    often="--rounds 1 --rounds-max 1" time="--seconds 1" soak="--minutes 0.7 --fault-every 5 --session-timeout-ms 4000"
    loads="--nodes 1000,2000" sizes="--nodes 1000,2000,5000 --sessions 1,10,50 --rest 1" many="--sessions 20"
    away="--nodes 2000 --changes 1,100"
else
    out=benches/results page=benches/RESULTS.md
    # Short steps and many rounds: see "Placement" in README.md.
    often="--rounds 5 --rounds-max 20" time="--seconds 3" soak="--minutes 20"
    loads="--nodes 10000,100000" sizes="--nodes 1000,10000,100000,1000000 --sessions 1,10,100,1000" many="--sessions 100"
    away="--nodes 10000 --changes 1,100,1000,10000"
fi
mkdir -p "$out"

cargo build --profile measured --quiet -p zk-bench || exit 1
bench=${CARGO_TARGET_DIR:-target}/measured/zk-bench
wanted=" $* "
failed=

# The same code built with a profile, alone and with a thread of its own, beside other clients; ten minutes, once.
profiled=
if [ -z "$short" ] && case $wanted in "  " | *" peers "*) true ;; *) false ;; esac; then
    if benches/profiled; then
        profiled=target/profiled/zk-bench
    else
        failed="$failed profiled"
    fi
fi

# run NAME ARGUMENTS..: one measurement, its lines in NAME.jsonl.
run() {
    name=$1
    shift
    [ "$wanted" = "  " ] || case $wanted in *" $name "*) ;; *) return 0 ;; esac
    echo "== $name: zk-bench $*" >&2
    "$bench" "$@" ${ZK_BENCH_ARGS:-} || failed="$failed $name"
}

# file NAME: where its lines go.
file() { echo "--out $out/$1.jsonl"; }

both="--runtime current-thread,multi-thread"
every="--runtime current-thread,multi-thread,own-thread"
run notify-memory-1000 notify --in-memory --rate 1000 $often $time $both $(file notify-memory-1000)
run notify-memory-200 notify --in-memory --rate 200 $often $time $both $(file notify-memory-200)
run notify-memory-burst50 notify --in-memory --rate 1000 --burst 50 $often $time $both $(file notify-memory-burst50)
run notify-disk-1000 notify --rate 1000 $often $time $both $(file notify-disk-1000)
run load-disk load $loads $often $both $(file load-disk)
run fanout-memory fanout --in-memory $many $often $time $both $(file fanout-memory)
run throughput-reads throughput --in-memory $often $time $both $(file throughput-reads)
run throughput-writes throughput --in-memory --writes $often $time $both $(file throughput-writes)
run resync-memory resync --in-memory $away $often $(file resync-memory)
run scale-memory scale --in-memory $sizes --rounds 2 --rounds-max 4 $(file scale-memory)
run soak-memory soak --in-memory $soak $(file soak-memory)
run tokio-notify-1000 notify --in-memory --rate 1000 $often $time --floor-on-tokio $(file tokio-notify-1000)
run tokio-notify-burst50 notify --in-memory --rate 1000 --burst 50 $often $time --floor-on-tokio $(file tokio-notify-burst50)
run tokio-fanout fanout --in-memory $many $often $time --floor-on-tokio $(file tokio-fanout)
run peers side-by-side --in-memory $loads $many $often $time $every --floor-on-tokio \
    ${profiled:+"--watcher=ours, with a profile=$profiled peer-watcher"} \
    ${profiled:+"--watcher=ours (own thread), with a profile=$profiled peer-watcher --runtime own-thread"} --out-dir "$out"

if [ "$wanted" = "  " ] && [ -z "$short" ]; then
    benches/instructions || failed="$failed instructions"
fi
"$bench" report --results "$out" --page "$page" || exit 1
[ -z "$failed" ] || { echo "FAILED:$failed" >&2; exit 1; }
