# leash.sh LOG PROGRAM ARGS...: runs PROGRAM, prints its pid, and exits with its code.
# Kills it as soon as standard input is closed, which the kernel does when our parent dies.
log=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- >>"$log" 2>&1 &
program=$!
echo "$program"
exec >/dev/null
(while read -r _; do :; done; kill -9 "$program") <&3 3<&- &
watcher=$!
exec 3<&-
wait "$program"
code=$?
kill -9 "$watcher"
exit "$code"
