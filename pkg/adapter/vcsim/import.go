package vcsim

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type poolMethods struct{ target }

// ImportVApp is the stock import, completed before the lease is visible: the VM's
// disks have their size and UUID when the upload begins.
func (m *poolMethods) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	p, ok := ctx.Map.Get(req.This).(*simulator.ResourcePool)
	if !ok {
		return &methods.ImportVAppBody{Fault_: notFound(req.This)}
	}
	plan, f := m.s.planImport(ctx, req)
	if f != nil {
		return &methods.ImportVAppBody{Fault_: soapFault(f)}
	}
	m.s.storage.Lock()
	defer m.s.storage.Unlock()
	spec := req.Spec.(*types.VirtualMachineImportSpec)
	rest, cards := withoutCards(spec.ConfigSpec.DeviceChange)
	spec.ConfigSpec.DeviceChange = rest
	var body *methods.ImportVAppBody
	m.s.making(ctx, func() { body = m.s.importVM(ctx, p, req, plan, cards) })
	return body
}

func (s *Site) importVM(ctx *simulator.Context, p *simulator.ResourcePool, req *types.ImportVApp, plan *diskPlan,
	cards []types.BaseVirtualDeviceConfigSpec) (body *methods.ImportVAppBody) {
	ctx.WithLock(p, func() { body = p.ImportVApp(ctx, req).(*methods.ImportVAppBody) })
	if body.Fault_ != nil {
		return body
	}
	lease, ok := ctx.Session.Get(body.Res.Returnval).(*simulator.HttpNfcLease)
	if !ok {
		return body
	}
	state, info := s.leaseState(lease)
	if state == types.HttpNfcLeaseStateReady {
		if vm := vmOf(ctx, info.Entity); vm != nil {
			ownDevices(ctx, vm)
			f := addCards(ctx, vm, cards)
			if f == nil {
				_, f = s.applyPlan(ctx, vm, plan)
			}
			if f != nil {
				return &methods.ImportVAppBody{Fault_: soapFault(f)}
			}
		}
		s.mu.Lock()
		s.leases[lease.Self.Value] = lease
		s.mu.Unlock()
	}
	return body
}

func (s *Site) planImport(ctx *simulator.Context, req *types.ImportVApp) (*diskPlan, fault) {
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok {
		return nil, &types.InvalidArgument{InvalidProperty: "spec"}
	}
	if req.Host == nil {
		req.Host = s.placeHost(ctx, req.This)
	}
	if req.Host == nil {
		return nil, &types.NoCompatibleHost{}
	}
	if spec.ConfigSpec.Uuid == "" {
		spec.ConfigSpec.Uuid = uuid.NewString()
	}
	if spec.ConfigSpec.InstanceUuid == "" {
		spec.ConfigSpec.InstanceUuid = uuid.NewString()
	}
	s.storage.Lock()
	defer s.storage.Unlock()
	return s.planDisks(ctx, nil, *req.Host, spec.ConfigSpec.DeviceChange)
}

// leaseState waits until the import task has made the VM, or failed.
func (s *Site) leaseState(l *simulator.HttpNfcLease) (state types.HttpNfcLeaseState, info types.HttpNfcLeaseInfo) {
	for {
		s.context().WithLock(l, func() {
			state = l.State
			if l.Info != nil {
				info = *l.Info
			}
		})
		if state != types.HttpNfcLeaseStateInitializing {
			return state, info
		}
		s.sleep(2 * time.Millisecond)
	}
}

// serveUpload stores what is uploaded to a lease. The stock handler sees the same
// bytes, for its checksums.
func (s *Site) serveUpload(w http.ResponseWriter, r *http.Request) {
	id, name := path.Base(path.Dir(r.URL.Path)), path.Base(r.URL.Path)
	s.mu.Lock()
	lease := s.leases[id]
	s.mu.Unlock()
	if lease == nil {
		http.NotFound(w, r)
		return
	}
	tmp, err := os.CreateTemp(path.Join(s.cfg.Dir, "tmp"), "upload-")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err = io.Copy(tmp, r.Body); err == nil {
		_, err = tmp.Seek(0, io.SeekStart)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err = s.storeUpload(lease, name, tmp.Name()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r.Body = io.NopCloser(tmp)
	simulator.ServeNFC(w, r)
}

func (s *Site) storeUpload(lease *simulator.HttpNfcLease, name, tmp string) error {
	s.storage.Lock()
	defer s.storage.Unlock()
	_, info := s.leaseState(lease)
	ctx := s.context()
	vm := vmOf(ctx, info.Entity)
	if vm == nil {
		return fmt.Errorf("lease %s has no VM", lease.Self.Value)
	}
	for _, d := range s.refresh(ctx, vm).disks {
		if path.Base(d.file) != name {
			continue
		}
		im, _, err := s.open(d.file)
		if err != nil {
			return err
		}
		return fillDisk(im, tmp)
	}
	return nil // an ISO or the like: nothing reads it
}

// fillDisk turns an uploaded file, a VMDK of any kind or raw, into a disk's
// content.
func fillDisk(im *image, upload string) error {
	f, err := os.Open(upload)
	if err != nil {
		return err
	}
	magic := make([]byte, 4)
	_, _ = io.ReadFull(f, magic)
	f.Close()
	raw := im.flat + ".import"
	defer os.Remove(raw)
	if bytes.Equal(magic, []byte("KDMV")) {
		out, err := exec.Command("qemu-img", "convert", "-f", "vmdk", "-O", "raw", upload, raw).CombinedOutput()
		if err != nil {
			return fmt.Errorf("qemu-img convert: %w: %s", err, strings.TrimSpace(string(out)))
		}
	} else if err = cloneFile(raw, upload); err != nil {
		return err
	}
	if err = os.Truncate(raw, im.size); err != nil {
		return err
	}
	return os.Rename(raw, im.flat)
}
