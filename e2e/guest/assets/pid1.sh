#!/bin/sh
# PID 1 of the test guest. What it does is chosen on the kernel command line:
#
#   work=run    start PostgreSQL and commit ledger rows until killed, or until
#               work.max=<n> rows were written by this boot; "ACK <id>" is
#               printed on the serial console only after row <id> was committed
#   work=check  start PostgreSQL (crash recovery) and report what the ledger holds
#   work=resume report what the ledger holds, then go on as run: a machine that
#               was brought back
#   work=idle   mount the disks and wait
#
# A machine with the file $plain has no database. It writes the same kind of rows into a
# file, at a fraction of the cost, and reports RECORD for LEDGER, BALANCE and AMCHECK.
#
# Lines it prints: GUEST-UP, PG-UP or PLAIN-UP, ACK, LEDGER, BALANCE, WITNESS, AMCHECK,
# RECORD, WORK-FAILED, WORK-DONE. Package guest parses them: change both together.
export PATH=/usr/local/pg:/usr/sbin:/usr/bin:/sbin:/bin
data=/var/lib/postgresql/tidemark
intent=/var/lib/tidemark/intent
plain=/var/lib/tidemark/plain
record=/wal/record
batch=8 # rows between two writes of the witness file; guest.WitnessBatch in Go

finish() {
	echo WORK-DONE
	sync
	/run/busybox poweroff -f
	sleep 60
}

fail() {
	echo "WORK-FAILED $*"
	tail -n 12 /run/pg.log /run/psql.err 2>/dev/null | sed 's/^/LOG /'
	finish
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }

sql() { psql -X -q -A -t -h /run -U postgres -v ON_ERROR_STOP=1 "$@" postgres 2>>/run/psql.err; }

start_postgres() {
	rm -f $data/postmaster.pid
	chmod 1777 /run
	as_postgres pg_ctl --pgdata=$data --wait --timeout=120 --silent --log=/run/pg.log start || fail "postgres did not start"
	echo "PG-UP uptime=$(cut -d' ' -f1 /proc/uptime)"
}

# Announces on the root disk, durably, the last row that may be committed on the
# log's disk from now on. In every true past state of the pair of disks:
#     max(id) <= intent <= max(id) + batch
announce() {
	printf '%016d\n' "$1" 1<>$intent && sync -d $intent || fail "witness file"
}

work_run() {
	next=$(sql -c 'SELECT coalesce(max(id), 0) + 1 FROM ledger') || fail "read ledger"
	last=$((next + ${limit:-1000000000} - 1))
	mkfifo /run/psql.in /run/psql.out
	sql </run/psql.in >/run/psql.out &
	exec 3>/run/psql.in 4</run/psql.out
	echo "RUN next=$next"
	while [ "$next" -le "$last" ]; do
		end=$((next + batch - 1))
		[ "$end" -le "$last" ] || end=$last
		announce "$end"
		i=$next
		while [ "$i" -le "$end" ]; do
			printf 'CALL step(%d);\n\\echo ACK %d\n' "$i" "$i"
			i=$((i + 1))
		done >&3
		while [ "$next" -le "$end" ]; do
			IFS= read -r line <&4 || fail "psql ended"
			echo "$line"
			next=$((next + 1))
		done
	done
}

report() {
	sql -f - <<'SQL' || fail "ledger query"
SELECT format('LEDGER count=%s min=%s max=%s contiguous=%s crc=%s', count(*),
	coalesce(min(id), 0), coalesce(max(id), 0), count(*) = coalesce(max(id), 0),
	CASE WHEN count(*) FILTER (WHERE crc <> row_crc(id, payload)) = 0 THEN 'ok' ELSE 'bad' END)
FROM ledger;
SELECT 'BALANCE ' || CASE WHEN sum(amount) = 100000 AND count(*) = 100 THEN 'ok' ELSE 'bad' END FROM balances;
SQL
	announced=$(sed 's/^0*\([0-9]\)/\1/' $intent)
	max=$(sql -c 'SELECT coalesce(max(id), 0) FROM ledger') || fail "read ledger"
	if [ "$max" -le "$announced" ] && [ "$announced" -le $((max + batch)) ]; then
		echo "WITNESS intent=$announced ok"
	else
		echo "WITNESS intent=$announced bad"
	fi
	damage=$(sql -f - <<'SQL'
SELECT bt_index_parent_check('ledger_pkey', true, true), bt_index_parent_check('balances_pkey', true, true);
SELECT * FROM verify_heapam('ledger');
SELECT * FROM verify_heapam('balances');
SQL
	) && [ "$damage" = "|" ] && echo "AMCHECK ok" || {
		echo "AMCHECK bad"
		tail -n 5 /run/psql.err | sed 's/^/LOG /'
		echo "$damage" | sed 's/^/LOG /'
	}
}

# The rows of a plain machine: a number and what it must come with, on the data disk.
plain_run() {
	touch $record
	next=$(($(wc -l <$record) + 1))
	echo "RUN next=$next"
	n=0
	while [ "$n" -lt "${limit:-1000000000}" ]; do
		[ $((n % batch)) -ne 0 ] || announce $((next + batch - 1))
		echo "$next $((next * 7919 % 65521))" >>$record && sync -d $record || fail "record"
		echo "ACK $next"
		next=$((next + 1)) n=$((n + 1))
		sleep 0.2
	done
}

plain_report() {
	touch $record
	announced=$(sed 's/^0*\([0-9]\)/\1/' $intent)
	/run/busybox awk -v announced="$announced" -v batch=$batch '
		$1 != NR { gap = 1 }
		$2 != $1 * 7919 % 65521 { bad = 1 }
		END {
			printf "WITNESS intent=%d %s\n", announced, NR <= announced && announced <= NR + batch ? "ok" : "bad"
			printf "RECORD count=%d min=%d max=%d contiguous=%s crc=%s\n", NR, NR ? 1 : 0, $1, gap ? "f" : "t", bad ? "bad" : "ok"
		}' $record
}

stop_postgres() { as_postgres pg_ctl --pgdata=$data --wait --silent --mode=fast stop; }

work=idle
limit=
for word in $(cat /proc/cmdline); do
	case $word in
	work=*) work=${word#work=} ;;
	work.max=*) limit=${word#work.max=} ;;
	esac
done
echo "GUEST-UP work=$work uptime=$(cut -d' ' -f1 /proc/uptime)"
[ ! -e $plain ] || case $work in
run | check | resume)
	echo "PLAIN-UP uptime=$(cut -d' ' -f1 /proc/uptime)"
	[ "$work" = run ] || plain_report
	[ "$work" = check ] || plain_run
	finish
	;;
esac
case $work in
run) start_postgres; work_run; stop_postgres ;;
check) start_postgres; report; stop_postgres ;;
resume) start_postgres; report; work_run; stop_postgres ;;
idle) while :; do sleep 3600; done ;;
*) fail "unknown work=$work" ;;
esac
finish
