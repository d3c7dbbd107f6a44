#!/bin/sh
# Before a removal, but not before an upgrade: the service stops, and is not started at boot.
set -e
case "$1" in remove | 0) ;; *) exit 0 ;; esac
if [ "${DPKG_ROOT:-/}" = / ] && [ -d /run/systemd/system ]; then
	systemctl disable --now tidemark.service
fi
