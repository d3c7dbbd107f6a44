package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/adapter/qmp"
	"tidemark.dev/pkg/adapter/vcsim"
)

// machine is a VM that is on: a QEMU on the VM's own flat files.
type machine struct {
	name string
	dir  string // D/vms/<name>, over all its boots
	log  string // of this boot
	qemu *guest.VM
	ctx  context.Context // ends with the machine
	stop context.CancelFunc

	mu   sync.Mutex
	taps map[int32]*tap // by disk key
}

// noBoot is the extraConfig by which a VM says that there is no guest in it.
const noBoot = "lab.boot"

// bootable tells whether a VM has a guest: two disks of the sizes that the
// guest's images have, in any order of keys.
func bootable(ev vcsim.PowerEvent) bool {
	return ev.Extra[noBoot] != "no" && len(ev.Disks) == 2 &&
		ev.Disks[0].Size >= guest.RootBytes && ev.Disks[1].Size >= guest.DataBytes
}

// node names a disk's block node, and monitor the QMP socket that belongs to it:
// QEMU serves one client per socket, and each tap is one.
func node(key int32) string { return "disk" + strconv.Itoa(int(key)) }

// startMachine boots a VM. It returns when QEMU runs, not when the guest is up.
func startMachine(ctx context.Context, h *hypervisor, ev vcsim.PowerEvent) (*machine, error) {
	m := &machine{name: ev.VM, dir: filepath.Join(h.dir, "vms", ev.VM), taps: map[int32]*tap{}}
	boot, err := newBoot(m.dir)
	if err != nil {
		return nil, err
	}
	m.log = filepath.Join(boot, "serial.log")
	m.ctx, m.stop = context.WithCancel(ctx)
	cfg := guest.Config{Images: h.images, Mode: h.mode, Dir: boot, QMPSocket: h.socket(ev, "q")}
	for _, d := range ev.Disks {
		cfg.Drives = append(cfg.Drives, guest.Drive{Raw: d.Flat, Node: node(d.Key)})
		mon := "mon" + strconv.Itoa(int(d.Key))
		cfg.Args = append(cfg.Args, "-chardev", "socket,id="+mon+",server=on,wait=off,path="+h.monitor(ev, d.Key), "-mon", "chardev="+mon+",mode=control")
	}
	if m.qemu, err = guest.Boot(ctx, cfg); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

// newBoot makes the directory of a VM's next boot, and has <dir>/serial.log mean
// that boot's.
func newBoot(dir string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("boot%d", n)
		boot := filepath.Join(dir, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.Mkdir(boot, 0o755); os.IsExist(err) {
			continue
		} else if err != nil {
			return "", err
		}
		link := filepath.Join(dir, "serial.log")
		if err := os.Symlink(filepath.Join(name, "serial.log"), link+".new"); err != nil {
			return "", err
		}
		return boot, os.Rename(link+".new", link)
	}
}

// frozen stands the guest still for as long as freeze takes: what is on its
// disks then is what a power cut at that moment would leave.
func (m *machine) frozen(freeze func() error) (err error) {
	ctx, cancel := context.WithTimeout(m.ctx, 30*time.Second)
	defer cancel()
	if err := m.qemu.Freeze(ctx); err != nil {
		return fmt.Errorf("stop the guest of %s: %w", m.name, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(m.ctx, 30*time.Second)
		defer cancel()
		if e := m.qemu.Thaw(ctx); err == nil && e != nil {
			err = fmt.Errorf("let the guest of %s go on: %w", m.name, e)
		}
	}()
	return freeze()
}

// kill is the end of the machine: its taps and QEMU are gone when it returns.
func (m *machine) kill() {
	m.stop()
	m.mu.Lock()
	taps := m.taps
	m.taps = nil
	m.mu.Unlock()
	for _, t := range taps {
		t.end()
	}
	m.qemu.Kill9()
}

// attach starts the tap of a disk, or starts it anew if it is another.
func (m *machine) attach(key int32, t *tap) {
	m.mu.Lock()
	old := m.taps[key]
	off := m.taps == nil
	if !off && (old == nil || !slices.Equal(old.proc.Args, t.proc.Args)) {
		m.taps[key] = t
		t.start(m.ctx)
	} else {
		old = nil
	}
	m.mu.Unlock()
	if old != nil {
		old.end()
	}
}

// detach ends the tap of a disk. The daemon ends its mirror; with the last of
// them any is ended that a daemon left which had to be killed.
func (m *machine) detach(key int32) {
	m.mu.Lock()
	t := m.taps[key]
	delete(m.taps, key)
	last := len(m.taps) == 0
	m.mu.Unlock()
	if t == nil {
		return
	}
	t.end()
	if !last {
		return
	}
	ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
	defer cancel()
	if err := endMirrors(ctx, m.qemu.QMP()); err != nil {
		t.note("a mirror did not end: %v", err)
	}
}

// endMirrors ends QEMU's block jobs, without waiting for targets that may be gone.
func endMirrors(ctx context.Context, q *qmp.Client) error {
	var jobs []struct {
		Device string `json:"device"`
	}
	if err := q.Execute(ctx, "query-block-jobs", nil, &jobs); err != nil {
		return err
	}
	for _, j := range jobs {
		var ended *qmp.JobEnded
		if err := qmp.AdoptMirror(q, j.Device).Abort(ctx); err != nil && !errors.As(err, &ended) {
			return err
		}
	}
	return nil
}
