# Gives the network cards of this guest their addresses at this site: with NetworkManager,
# netplan, ifupdown or systemd-networkd, whichever runs the cards. Old files are kept
# beside the new ones, as NAME.before-tidemark.
root=${TIDEMARK_ROOT:-}
[ -n "$root" ] || PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
umask 077
mark=before-tidemark
search= how= text= cards=

have() { command -v "$1" >/dev/null 2>&1; }
fail() { echo "$*"; exit 3; }
run() { "$@" || fail "$1 failed: $*"; }
spaced() { echo "$1" | tr , ' '; }
write() { cat >"$1.new" && mv "$1.new" "$1" || fail "cannot write $1"; }

domain() { search=$1; }

# card finds the interface with a hardware address; only cards have a device.
card() {
	for d in "$root"/sys/class/net/*; do
		if [ -e "$d/device" ] && [ "$(tr A-F a-f <"$d/address")" = "$1" ]; then
			if=$(basename "$d")
			return 0
		fi
	done
	fail "there is no network card $1"
}

# choose finds out once what runs the cards.
choose() {
	[ -z "$how" ] || return 0
	if have nmcli && [ "$(nmcli -t -f RUNNING general 2>/dev/null)" = running ] &&
		! nmcli -g GENERAL.STATE device show "$if" | grep -q '^10 '; then
		how=nm
	elif have netplan && ls "$root"/etc/netplan/*.yaml >/dev/null 2>&1; then
		how=netplan
		plain '(bonds|bridges|vlans|wifis|tunnels|vrfs|modems):' "$root"/etc/netplan/*.yaml
	elif have ifup && [ -f "$root/etc/network/interfaces" ]; then
		how=ifupdown
		plain '(bond-|bond_|bridge_|bridge-|vlan-|vlan_|wpa-)' "$root"/etc/network/interfaces "$root"/etc/network/interfaces.d/*
	elif have networkctl && [ -d "$root/etc/systemd/network" ]; then
		how=networkd
	else
		fail "this guest has none of NetworkManager, netplan, ifupdown and systemd-networkd, which could keep the addresses"
	fi
}

# plain refuses files with more than cards, for they are replaced as a whole.
plain() {
	what=$1
	shift
	for f in "$@"; do
		[ -f "$f" ] && grep -Eq "^[[:space:]]*$what" "$f" && fail "$f has more than network cards ($(grep -E "^[[:space:]]*$what" "$f" | head -n 1)): set the addresses by hand"
	done
	return 0
}

# keep is for a card that keeps its configuration: DHCP, where files are replaced.
keep() {
	card "$1"
	choose
	case $how in
	netplan) text="$text    $if: {dhcp4: true}
" ;;
	ifupdown) text="$text
auto $if
iface $if inet dhcp
" cards="$cards $if" ;;
	esac
}

# nic MAC IPV4,... GATEWAY IPV6,... GATEWAY6 DNS4,... DNS6,...; empty: none
nic() {
	card "$1"
	choose
	"nic_$how" "$2" "$3" "$4" "$5" "$6" "$7"
}

nic_nm() {
	con=$(nmcli -e no -g GENERAL.CONNECTION device show "$if")
	if [ -z "$con" ] || [ "$con" = -- ]; then
		con="tidemark $if"
		run nmcli connection add type ethernet ifname "$if" con-name "$con"
	fi
	[ -z "$1" ] || run nmcli connection modify "$con" ipv4.method manual ipv4.addresses "$1" ipv4.gateway "$2" ipv4.dns "$5"
	[ -z "$3" ] || run nmcli connection modify "$con" ipv6.method manual ipv6.addresses "$3" ipv6.gateway "$4" ipv6.dns "$6"
	run nmcli connection up "$con"
}

# list joins the lists that are not empty.
list() { echo "$1,$2" | sed 's/^,//; s/,$//; s/,/, /g'; }

nic_netplan() {
	text="$text    $if:
"
	[ -n "$1" ] || text="$text      dhcp4: true
"
	text="$text      addresses: [$(list "$1" "$3" | sed 's|\([^ ,]\{1,\}\)|"\1"|g')]
      nameservers: {search: [$search], addresses: [$(list "$5" "$6" | sed 's|\([^ ,]\{1,\}\)|"\1"|g')]}
      routes: [$( [ -z "$2" ] || echo "{to: 0.0.0.0/0, via: $2}" )$( [ -z "$2" ] || [ -z "$4" ] || echo ", " )$( [ -z "$4" ] || echo "{to: \"::/0\", via: \"$4\"}" )]
"
}

nic_ifupdown() {
	cards="$cards $if"
	text="$text
auto $if
"
	[ -n "$1" ] || text="${text}iface $if inet dhcp
"
	rest="gateway $2
    dns-nameservers $(spaced "$5")
    dns-search $search"
	for a in $(spaced "$1"); do
		text="${text}iface $if inet static
    address $a
$(echo "    $rest" | grep -Ev ' $')
"
		rest=" "
	done
	rest="gateway $4
    dns-nameservers $(spaced "$6")"
	for a in $(spaced "$3"); do
		text="${text}iface $if inet6 static
    address $a
$(echo "    $rest" | grep -Ev ' $')
"
		rest=" "
	done
	names="${names:-} $(spaced "$5") $(spaced "$6")"
}

nic_networkd() {
	{
		echo "[Match]"
		echo "Name=$if"
		echo "[Network]"
		[ -n "$1" ] || echo "DHCP=ipv4"
		for a in $(spaced "$1") $(spaced "$3"); do echo "Address=$a"; done
		for a in $2 $4; do echo "Gateway=$a"; done
		for a in $(spaced "$5") $(spaced "$6"); do echo "DNS=$a"; done
		[ -z "$search" ] || echo "Domains=$search"
	} | write "$root/etc/systemd/network/01-tidemark-$if.network"
	chmod_all "$root/etc/systemd/network/01-tidemark-$if.network"
	cards="$cards $if"
}

# chmod_all lets a daemon that is not root read a file.
chmod_all() { [ -n "$root" ] || chmod 644 "$1"; }

# finish makes what was collected the guest's configuration.
finish() {
	case $how in
	netplan)
		for f in "$root"/etc/netplan/*.yaml; do
			case $f in */99-tidemark.yaml) ;; *) mv "$f" "$f.$mark" || fail "cannot move $f" ;; esac
		done
		printf 'network:\n  version: 2\n  ethernets:\n%s' "$text" | write "$root/etc/netplan/99-tidemark.yaml"
		no_cloud
		run netplan apply
		;;
	ifupdown)
		for if in $cards; do ifdown --force "$if" >/dev/null 2>&1; done
		f=$root/etc/network/interfaces
		[ -e "$f.$mark" ] || run mv "$f" "$f.$mark"
		printf 'auto lo\niface lo inet loopback\n%s' "$text" | write "$f"
		chmod_all "$f"
		resolver
		no_cloud
		for if in $cards; do
			have ip && ip address flush dev "$if"
			run ifup --force "$if"
		done
		;;
	networkd)
		no_cloud
		run networkctl reload
		for if in $cards; do run networkctl reconfigure "$if"; done
		;;
	esac
	echo "the addresses are set with ${how:-nothing}"
}

# resolver writes the name servers where nothing else does.
resolver() {
	f=$root/etc/resolv.conf
	[ -f "$f" ] && [ ! -L "$f" ] && [ -n "$(echo ${names:-})" ] && ! have resolvconf || return 0
	[ -e "$f.$mark" ] || run mv "$f" "$f.$mark"
	{
		[ -z "$search" ] || echo "search $search"
		for a in $names; do echo "nameserver $a"; done
	} | write "$f"
	chmod_all "$f"
}

# no_cloud keeps cloud-init from writing the old configuration at the next start.
no_cloud() {
	[ -d "$root/etc/cloud/cloud.cfg.d" ] || return 0
	echo 'network: {config: disabled}' | write "$root/etc/cloud/cloud.cfg.d/99-tidemark.cfg"
}

