package vmpolicy_test

import (
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

func TestVariablesOfEFIAreToldNotToBeCopied(t *testing.T) {
	var vms []inventory.VM
	for i := range 7 {
		firmware := "efi"
		if i == 1 {
			firmware = "bios"
		}
		vms = append(vms, inventory.VM{Place: inventory.Place{Name: fmt.Sprint("web", i)}, Hardware: inventory.Hardware{Firmware: firmware}})
	}
	p, ok := vmpolicy.NotCopied(vms)
	if !ok || !p.Warning || p.VM != "" || !strings.Contains(p.Text, "(the nvram file) are not copied, for web0, web2, web3, web4, web5 and 1 more:") {
		t.Errorf("%v %+v", ok, p)
	}
	if p, ok := vmpolicy.NotCopied(vms[1:2]); ok {
		t.Errorf("a VM with a BIOS has none: %+v", p)
	}
}
