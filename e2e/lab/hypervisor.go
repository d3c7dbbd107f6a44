package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/adapter/vcsim"
)

// hypervisor runs the guests of a simulated vCenter's VMs: its methods are the
// simulator's hooks.
type hypervisor struct {
	dir      string // absolute; see layout in doc.go
	mode     guest.Mode
	images   *guest.Images
	tidemark []string  // command line of the filter daemons, up to the verb
	out      io.Writer // what happens is told here

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	site *vcsim.Site         // by serves
	vms  map[string]*machine // by instance UUID
	n    int                 // machines started, for sockets' names
	sock map[string]string   // instance UUID to the short name of its sockets
}

// newHypervisor prepares directories; close ends everything.
func newHypervisor(ctx context.Context, dir string, mode guest.Mode, tidemark []string, out io.Writer) (*hypervisor, error) {
	h := &hypervisor{dir: dir, mode: mode, tidemark: tidemark, out: out, vms: map[string]*machine{}, sock: map[string]string{}}
	if n := len(h.socketPath("0000", "m2147483647")); n > 107 {
		return nil, fmt.Errorf("%s is too long for sockets in it: choose a shorter directory", dir)
	}
	var err error
	if h.images, err = guest.Prepare(ctx); err != nil {
		return nil, err
	}
	for _, d := range []string{"vms", "s"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	h.ctx, h.stop = context.WithCancel(ctx)
	return h, nil
}

// serves says which vCenter the hooks are of, before it has any VM.
func (h *hypervisor) serves(site *vcsim.Site) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.site = site
}

func (h *hypervisor) vcenter() *vcsim.Site {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.site
}

func (h *hypervisor) socketPath(vm, name string) string {
	return filepath.Join(h.dir, "s", vm+"-"+name)
}

// socket is the path of one of a VM's sockets: names of VMs may be too long.
func (h *hypervisor) socket(ev vcsim.PowerEvent, name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, ok := h.sock[ev.UUID]
	if !ok {
		h.n++
		id = strconv.Itoa(h.n)
		h.sock[ev.UUID] = id
	}
	return h.socketPath(id, name)
}

func (h *hypervisor) monitor(ev vcsim.PowerEvent, key int32) string {
	return h.socket(ev, "m"+strconv.Itoa(int(key)))
}

func (h *hypervisor) machine(uuid string) *machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.vms[uuid]
}

// take removes a VM's machine, if it is still m; m nil means any.
func (h *hypervisor) take(uuid string, m *machine) *machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := h.vms[uuid]
	if have == nil || m != nil && have != m {
		return nil
	}
	delete(h.vms, uuid)
	return have
}

// power starts or kills a VM's guest.
func (h *hypervisor) power(ev vcsim.PowerEvent) error {
	if m := h.take(ev.UUID, nil); m != nil {
		m.kill()
		h.tell("%s: its guest was killed", ev.VM)
	}
	if !ev.On || !bootable(ev) {
		return nil
	}
	m, err := startMachine(h.ctx, h, ev)
	if err != nil {
		h.tell("%s: %v", ev.VM, err)
		return err
	}
	h.mu.Lock()
	h.vms[ev.UUID] = m
	h.mu.Unlock()
	h.tell("%s: a guest boots, console in %s", ev.VM, m.log)
	h.wg.Go(func() { h.watch(ev, m) })
	return nil
}

// watch tells the vCenter what a host would see of the guest: its tools, and its
// end.
func (h *hypervisor) watch(ev vcsim.PowerEvent, m *machine) {
	up := m.qemu.WaitFor(m.ctx, "-UP uptime=") // of its database, or of a plain machine
	if up == nil {
		h.tell("%s: its guest is up", ev.VM)
		if err := h.vcenter().Tools(ev.UUID, true, address(ev)); err != nil && m.ctx.Err() == nil {
			h.tell("%s: %v", ev.VM, err)
		}
	}
	err := m.qemu.Wait(m.ctx)
	if m.ctx.Err() != nil || h.take(ev.UUID, m) == nil {
		return // it was powered off from outside
	}
	m.kill()
	h.tell("%s: its guest ended by itself (%v)", ev.VM, err)
	if err := h.vcenter().GuestStopped(ev.UUID); err != nil {
		h.tell("%s: %v", ev.VM, err)
	}
}

// snapshot freezes a VM between two of its guest's instructions.
func (h *hypervisor) snapshot(ev vcsim.PowerEvent, freeze func() error) error {
	m := h.machine(ev.UUID)
	if m == nil {
		return freeze()
	}
	return m.frozen(freeze)
}

// filter starts or ends the tap of a disk.
func (h *hypervisor) filter(ev vcsim.PowerEvent, key int32, filter string, params map[string]string, attached bool) {
	m := h.machine(ev.UUID)
	if m == nil {
		return // a guest that does not run writes nothing
	}
	if !attached {
		m.detach(key)
		h.tell("%s: filter %s detached from disk %d", ev.VM, filter, key)
		return
	}
	t, err := newTap(h.tidemark, m.dir, node(key), h.monitor(ev, key), params)
	if err != nil {
		h.tell("%s: filter %s: %v", ev.VM, filter, err)
		return
	}
	m.attach(key, t)
	h.tell("%s: filter %s taps disk %d for %s", ev.VM, filter, key, params[paramGroup])
}

// close kills all guests.
func (h *hypervisor) close() {
	h.stop()
	h.mu.Lock()
	vms := h.vms
	h.vms = map[string]*machine{}
	h.mu.Unlock()
	for _, m := range vms {
		m.kill()
	}
	h.wg.Wait()
}

func (h *hypervisor) tell(format string, args ...any) {
	fmt.Fprintf(h.out, format+"\n", args...)
}

// address is what the guest's tools say: the guest has no network of its own, so
// what it was told to be, or one of the addresses for documentation.
func address(ev vcsim.PowerEvent) string {
	if ip := ev.Extra["guestinfo.ip"]; ip != "" {
		return ip
	}
	return "192.0.2.10"
}
