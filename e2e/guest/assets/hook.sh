#!/bin/sh
# mmdebstrap's customize hook, run on the host with the new root as $1. The
# kernel comes through the new system's own package lists, so that the build does
# not depend on the state of the host's. TIDEMARK_ASSETS and TIDEMARK_KERNEL are
# directories: where the scripts are, and where to leave the kernel package.
set -eu
root=$1
cp "$TIDEMARK_ASSETS/provision.sh" "$TIDEMARK_ASSETS/schema.sql" "$root/"

cd "$TIDEMARK_KERNEL"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || { echo "linux-image-cloud-amd64 depends on no kernel package" >&2; exit 1; }
apt-get -q download "$kernel"
unset APT_CONFIG

chroot "$root" sh /provision.sh
rm "$root/provision.sh"
