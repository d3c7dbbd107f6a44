package vcsim

import (
	"regexp"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type ovfMethods struct{ target }

var ovfDisk = regexp.MustCompile(`<Disk\b[^>]*>`)

// CreateImportSpec is the stock one, which needs each disk of the descriptor to name a
// file. A disk without one is made blank.
func (m *ovfMethods) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) soap.HasFault {
	stock, ok := ctx.Map.Get(req.This).(*simulator.OvfManager)
	if !ok {
		return &methods.CreateImportSpecBody{Fault_: notFound(req.This)}
	}
	req.OvfDescriptor = ovfDisk.ReplaceAllStringFunc(req.OvfDescriptor, func(disk string) string {
		if strings.Contains(disk, "fileRef=") {
			return disk
		}
		return strings.Replace(disk, "<Disk", `<Disk ovf:fileRef="none"`, 1)
	})
	return stock.CreateImportSpec(ctx, req)
}
