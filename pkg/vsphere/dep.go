package vsphere

import (
	_ "github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	_ "golang.org/x/net/icmp"
)
