package vsphere

import (
	_ "golang.org/x/net/icmp"
)
