package main

import (
	"context"
	"encoding/xml"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/qmp"
	"tidemark.dev/pkg/adapter/vcsim"
)

// efi is for `make test-ova-efi`.
var efi = flag.Bool("efi", false, "the appliances boot by EFI, from virtio-scsi")

// hypervisor boots the appliances of a simulated vCenter in QEMU, on the devices that
// they have there: pvscsi and vmxnet3. Settings go by QEMU's firmware configuration,
// for the guestinfo of VMware's hypervisor is not QEMU's.
type hypervisor struct {
	dir     string
	forward string // host:port of this machine, for the guest's port 10809

	mu   sync.Mutex
	vms  map[string]*proc.Process // by instance UUID
	n    int
	all  []*proc.Process
	data string // the file of the newest boot's data disk
}

func (h *hypervisor) power(ev vcsim.PowerEvent) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.vms[ev.UUID]; p != nil {
		proc.Kill(p)
		delete(h.vms, ev.UUID)
	}
	if !ev.On || ev.Extra["guestinfo.tidemark.name"] == "" {
		return nil
	}
	h.n++
	dir := filepath.Join(h.dir, fmt.Sprintf("boot%d", h.n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	guest := "" // that DHCP names first
	if address, _, has := strings.Cut(ev.Extra["guestinfo.tidemark.address"], "/"); has {
		guest = address
	}
	firmware, controller := []string{}, "pvscsi"
	if *efi {
		vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "vars"), vars, 0o600)
		}
		if err != nil {
			return err
		}
		firmware = []string{"-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd", "-drive", "if=pflash,format=raw,file=" + filepath.Join(dir, "vars")}
		controller = "virtio-scsi-pci" // QEMU's EFI cannot boot from the other
	}
	args := []string{"qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-machine", "q35", "-m", "640", "-smp", "2",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-qmp", "unix:" + filepath.Join(dir, "qmp") + ",server=on,wait=off", "-rtc", "base=" + time.Now().UTC().Add(-wrongBy).Format("2006-01-02T15:04:05"),
		"-netdev", "user,id=n,hostfwd=tcp:" + h.forward + "-" + guest + ":10809", "-device", "vmxnet3,netdev=n,romfile=",
		"-device", controller + ",id=scsi0"}
	args = append(args, firmware...)
	for i, d := range ev.Disks {
		args = append(args, "-drive", fmt.Sprintf("file=%s,format=raw,if=none,id=d%d", d.Flat, i), "-device", fmt.Sprintf("scsi-hd,bus=scsi0.0,scsi-id=%d,drive=d%d", i, i))
	}
	// vCenter gives what its form was filled in with in one document; here one setting of all.
	var value strings.Builder
	if err := xml.EscapeText(&value, []byte(ev.Extra[byForm])); err != nil {
		return err
	}
	extra := maps.Clone(ev.Extra)
	delete(extra, byForm)
	extra["guestinfo.ovfEnv"] = `<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:oe="http://schemas.dmtf.org/ovf/environment/1"><PropertySection>` +
		`<Property oe:key="` + byForm + `" oe:value="` + value.String() + `"/></PropertySection></Environment>`
	for k, v := range extra {
		if k != "guestinfo.ovfEnv" && !strings.HasPrefix(k, "guestinfo.tidemark.") {
			continue
		}
		file := filepath.Join(dir, k)
		if err := os.WriteFile(file, []byte(v), 0o600); err != nil {
			return err
		}
		args = append(args, "-fw_cfg", "name=opt/"+k+",file="+file)
	}
	p := &proc.Process{Name: fmt.Sprintf("appliance, boot %d", h.n), Args: args, Log: filepath.Join(dir, "console.log")}
	if err := p.Start(); err != nil {
		return err
	}
	h.vms[ev.UUID] = p
	h.all = append(h.all, p)
	h.data = ev.Disks[1].Flat
	return nil
}

// byForm is a setting that the appliances get as a property of the OVA.
const byForm = "guestinfo.tidemark.ntp"

// wrongBy is how much the clocks of the appliances are behind when they boot.
const wrongBy = time.Hour

// tell has the QEMU of the newest boot do something.
func (h *hypervisor) tell(ctx context.Context, command string, args any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	q, err := qmp.Dial(ctx, filepath.Join(h.dir, fmt.Sprintf("boot%d", h.n), "qmp"))
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Execute(ctx, command, args, nil)
}

// newest is the newest boot, and the file of its data disk.
func (h *hypervisor) newest() (*proc.Process, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[len(h.all)-1], h.data
}

// end ends all appliances.
func (h *hypervisor) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.vms {
		proc.Kill(p)
	}
	h.vms = map[string]*proc.Process{}
}

// consoles is what the appliances showed.
func (h *hypervisor) consoles() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, p := range h.all {
		fmt.Fprintf(&b, "--- %s\n%s\n", p.Name, p.Tail(6000))
	}
	return b.String()
}

// bootWait is generous: a guest without KVM takes a minute on a busy machine.
const bootWait = 8 * time.Minute
