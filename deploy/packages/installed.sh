#!/bin/sh
# After an installation or an upgrade: the user and the directories of the unit exist, and
# a service that ran runs the new version. Nothing is started that did not run.
set -e
root="${DPKG_ROOT:-/}"
systemd-sysusers --root="$root" tidemark.conf
systemd-tmpfiles --root="$root" --create tidemark.conf
if [ "$root" = / ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart tidemark.service
fi
