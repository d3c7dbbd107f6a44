#!/bin/sh
# Journals, keys and settings stay, whatever is removed or purged: in /var/lib/tidemark
# and /etc/tidemark. Only people delete them.
set -e
if [ "${DPKG_ROOT:-/}" = / ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
