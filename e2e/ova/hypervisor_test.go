package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/vcsim"
)

// hypervisor boots the appliances of a simulated vCenter in QEMU, on the devices that
// they have there: pvscsi and vmxnet3. Settings go by QEMU's firmware configuration,
// for the guestinfo of VMware's hypervisor is not QEMU's.
type hypervisor struct {
	dir     string
	forward string // host:port of this machine, for the guest's port 10809

	mu  sync.Mutex
	vms map[string]*proc.Process // by instance UUID
	n   int
	all []*proc.Process
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
	args := []string{"qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-machine", "q35", "-m", "640", "-smp", "2",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-netdev", "user,id=n,hostfwd=tcp:" + h.forward + "-:10809", "-device", "vmxnet3,netdev=n,romfile=",
		"-device", "pvscsi,id=scsi0"}
	for i, d := range ev.Disks {
		args = append(args, "-drive", fmt.Sprintf("file=%s,format=raw,if=none,id=d%d", d.Flat, i), "-device", fmt.Sprintf("scsi-hd,bus=scsi0.0,scsi-id=%d,drive=d%d", i, i))
	}
	for k, v := range ev.Extra {
		if !strings.HasPrefix(k, "guestinfo.tidemark.") {
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
	return nil
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
