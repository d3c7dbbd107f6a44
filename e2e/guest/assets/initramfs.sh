#!/bin/sh
# /init of the test guest's initramfs. It loads the disk drivers, mounts the
# root disk and the data disk (ext4 replays its journals), and hands over to
# pid1.sh. That script and busybox travel on a tmpfs, not on the guest's disks:
# a damaged disk must not be able to damage its own examiner.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

give_up() {
	echo "BOOT-FAILED $*"
	dmesg | tail -n 15
	poweroff -f
}

while read -r module; do
	insmod "/lib/modules/$module" || give_up "insmod $module"
done </lib/modules/order

tries=0
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do
	tries=$((tries + 1))
	[ $tries -le 100 ] || give_up "no /dev/vda and /dev/vdb"
	sleep 0.1
done

mount -t ext4 /dev/vda /root || give_up "mount /dev/vda"
mount -t ext4 /dev/vdb /root/wal || give_up "mount /dev/vdb"
mount -t tmpfs run /root/run || give_up "mount /run"
cp /bin/busybox /pid1.sh /root/run/ || give_up "copy to /run"
for fs in dev proc sys; do
	mount --move /$fs /root/$fs || give_up "move /$fs"
done
exec switch_root /root /run/pid1.sh
