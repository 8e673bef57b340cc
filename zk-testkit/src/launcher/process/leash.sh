# leash.sh LOG PROGRAM ARGS...: runs PROGRAM, prints its pid, and exits with its code.
# Kills it as soon as standard input is closed, which the kernel does when our parent dies.
log=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- >>"$log" 2>&1 &
program=$!
# If PROGRAM is stopped when our parent dies, the kernel sends all of us a SIGHUP.
(trap '' HUP; while read -r _; do :; done; kill -9 "$program") <&3 3<&- >/dev/null &
watcher=$!
exec 3<&-
# Ends us with a SIGPIPE if our parent is dead already: all that watches stands by now.
echo "$program"
exec >/dev/null
wait "$program"
code=$?
kill -9 "$watcher"
exit "$code"
