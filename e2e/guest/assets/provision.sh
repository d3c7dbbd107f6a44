#!/bin/sh
# Runs once, inside the new root file system, while the image is built: creates
# the database and empties the tree of what the guest never uses.
#
# The cluster spans both disks on purpose. Data files, and the witness file,
# are on the root disk; the write-ahead log is under /wal, the second disk.
# Copies of the two disks taken at different moments do not fit together.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
ln -s "$bin" /usr/local/pg

# Just-in-time compilation, documentation and most of Perl are three quarters of the tree.
rm -rf "${bin%/bin}"/lib/bitcode "${bin%/bin}"/lib/llvmjit*
rm -rf /usr/lib/x86_64-linux-gnu/libLLVM* /usr/lib/x86_64-linux-gnu/libz3*
rm -rf /usr/lib/x86_64-linux-gnu/perl /usr/share/perl /usr/lib/x86_64-linux-gnu/gconv
rm -rf /usr/share/doc /usr/share/man /usr/share/i18n /usr/share/locale /usr/share/perl5
rm -rf /usr/share/postgresql/*/man /var/cache/* /var/lib/apt/lists/* /var/log/*

mkdir -p /wal /var/lib/tidemark
chown postgres:postgres /wal
chmod 700 /wal

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }

data=/var/lib/postgresql/tidemark
as_postgres /usr/local/pg/initdb --pgdata=$data --waldir=/wal/pg_wal --wal-segsize=1 \
	--encoding=UTF8 --no-locale --auth=trust --data-checksums --no-sync --no-instructions >/dev/null

cat >>$data/postgresql.conf <<CONF
# What makes an acknowledged commit durable is left at its defaults, and stated:
fsync = on
synchronous_commit = on
full_page_writes = on
# Small and quick to start under emulation:
shared_buffers = 16MB
max_connections = 10
dynamic_shared_memory_type = mmap
jit = off
# Checkpoints and log recycling within the length of a test:
checkpoint_timeout = 30s
max_wal_size = 24MB
min_wal_size = 4MB
listen_addresses = ''
unix_socket_directories = '/run'
CONF

as_postgres /usr/local/pg/pg_ctl --pgdata=$data --wait --silent \
	-o "-c fsync=off -c unix_socket_directories=/tmp" start >/tmp/start.log
as_postgres /usr/local/pg/psql -X -q -h /tmp -v ON_ERROR_STOP=1 -f /schema.sql postgres
as_postgres /usr/local/pg/pg_ctl --pgdata=$data --wait --silent --mode=fast stop
printf '%016d\n' 0 >/var/lib/tidemark/intent
rm -rf /tmp/* /schema.sql
sync
