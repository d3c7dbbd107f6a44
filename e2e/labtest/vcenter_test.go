package labtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/vsphere"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// site is one vCenter of the lab, without Tidemark, and its VM db01, off.
type site struct {
	*testing.T
	ctx  context.Context
	dir  string
	proc *proc.Process
	spec spec.VSphere
	c    *vsphere.Client
}

func newVCenter(t *testing.T, args ...string) *site {
	t.Helper()
	guest.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	short, err := os.MkdirTemp("", "tml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	s := &site{T: t, ctx: ctx, dir: filepath.Join(short, "v")}
	addr, err := proc.FreeAddr()
	s.must(err)
	s.proc = &proc.Process{Name: "vcenter", Log: filepath.Join(short, "log"),
		Args: append([]string{lab, "vcenter", "--name", "prod", "--dir", s.dir, "--listen", addr, "--vm", "db01", "--off"}, args...)}
	s.must(s.proc.Start())
	life := s.proc.Done()
	go func() { // nobody waits for a vCenter that is dead
		select {
		case <-life:
			cancel()
		case <-ctx.Done():
		}
	}()
	t.Cleanup(func() {
		if err := proc.Stop(20*time.Second, s.proc); err != nil {
			t.Error(err)
		}
		log := s.proc.Tail(1 << 20)
		if t.Failed() || strings.Contains(log, "DATA RACE") {
			t.Errorf("the vCenter said:\n%s", log)
		}
	})
	file := filepath.Join(s.dir, "site.yaml")
	s.eventually("the vCenter serves", func() error {
		s.must(s.proc.Running())
		_, err := os.Stat(file)
		return err
	})
	s.dial(file)
	return s
}

// dial connects as the site's file says.
func (s *site) dial(file string) {
	s.Helper()
	text, err := os.ReadFile(file)
	s.must(err)
	got, err := spec.Parse(file, text)
	s.must(err)
	s.spec = *got[0].Site.VSphere
	login := filepath.Join(s.dir, "credentials.yaml")
	creds, err := os.ReadFile(login)
	s.must(err)
	cfg := vsphere.Config{URL: s.spec.URL, Thumbprint: s.spec.Thumbprint}
	if _, err := fmt.Sscanf(string(creds), "username: %q\npassword: %q\n", &cfg.User, &cfg.Password); err != nil {
		s.Fatalf("credentials %q: %v", creds, err)
	}
	if st, err := os.Stat(login); err != nil || st.Mode().Perm() != 0o600 {
		s.Fatalf("credentials: %v, %v", st.Mode(), err)
	}
	s.c, err = vsphere.Dial(s.ctx, cfg)
	s.must(err)
	s.Cleanup(func() { s.c.Close(context.Background()) })
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) eventually(what string, ok func() error) {
	s.Helper()
	eventually(s.ctx, s.T, what, ok)
}

func eventually(ctx context.Context, t *testing.T, what string, ok func() error) {
	t.Helper()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *site) vm(name string) inventory.VM {
	s.Helper()
	inv, err := s.c.Inventory(s.ctx)
	s.must(err)
	for _, v := range inv.VMs {
		if v.Name == name {
			return v
		}
	}
	s.Fatalf("no VM %s in %+v", name, inv.VMs)
	panic("unreachable")
}

// powerOn returns the console of the boot, once its database is up.
func (s *site) powerOn(v inventory.VM) *guest.Console {
	s.Helper()
	s.must(s.c.PowerOn(s.ctx, v.Ref))
	c := guest.ReadConsole(s.ctx, filepath.Join(s.dir, "vms", v.Name, "serial.log"))
	s.Cleanup(func() { c.Close() })
	s.must(c.WaitFor(s.ctx, "PG-UP"))
	return c
}

// running are the processes whose command line has text.
func running(t *testing.T, text string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err == nil && pid != os.Getpid() && bytes.Contains(b, []byte(text)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// qemus are the guests of the site.
func (s *site) qemus() []int { return running(s.T, s.dir+"/s/") }

func (s *site) noGuests() error {
	if pids := s.qemus(); len(pids) > 0 {
		return fmt.Errorf("QEMU runs: %v", pids)
	}
	return nil
}

// A guest lives as its VM does: from power-on to power-off, and no longer than
// the host it is on.
func TestGuestLivesAsItsVM(t *testing.T) {
	s := newVCenter(t)
	v := s.vm("db01")
	if len(v.Hardware.Disks) != 2 || len(v.Hardware.NICs) != 1 || v.Hardware.NICs[0].NetName != "VM Network" {
		t.Fatalf("db01 is %+v", v)
	}
	first := s.powerOn(v)
	s.must(first.WaitAcks(s.ctx, 20))
	s.eventually("its tools run", func() error {
		if now := s.vm("db01"); now.Power != "on" || !now.Guest.ToolsRunning || now.Guest.Heartbeat != "green" {
			return fmt.Errorf("it is %s, %+v", now.Power, now.Guest)
		}
		return nil
	})
	if pids := s.qemus(); len(pids) != 1 {
		t.Fatalf("QEMUs: %v", pids)
	}
	s.must(s.c.PowerOff(s.ctx, v.Ref))
	s.must(s.noGuests())
	s.must(first.Close())
	second := s.powerOn(v)
	s.must(second.WaitAcks(s.ctx, 5))
	if next := second.Acks()[0]; next <= first.LastAck() {
		t.Fatalf("row %d was written after row %d", next, first.LastAck())
	}
	proc.Kill(s.proc)
	for end := time.Now().Add(time.Minute); s.noGuests() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("its host is dead, and %v", s.noGuests())
		}
	}
}

// What a snapshot freezes while the guest runs is what a power cut would have
// left: read through the transporter's devices, the disks boot.
func TestSnapshotIsOneMoment(t *testing.T) {
	s := newVCenter(t)
	v := s.vm("db01")
	console := s.powerOn(v)
	s.must(console.WaitAcks(s.ctx, 60))
	tm := s.vm(s.spec.Transporter)

	acked := console.AckedBefore(time.Now())
	began := time.Now()
	snap, err := s.c.Snapshot(s.ctx, v.Ref, "mine", "", false)
	s.must(err)
	t.Logf("snapshot after %.2fs", time.Since(began).Seconds())
	latest := console.LastAck()
	var plugs []inventory.Plug
	for _, d := range snap.Disks {
		plugs = append(plugs, inventory.Plug{File: d.File, Frozen: true})
	}
	uuids, err := s.c.Plug(s.ctx, tm.Ref, plugs)
	s.must(err)
	var drives []guest.Drive
	copies := t.TempDir()
	for i, id := range uuids {
		device := filepath.Join(s.spec.Devices, "wwn-0x"+strings.ToLower(strings.ReplaceAll(id, "-", "")))
		file, err := filepath.EvalSymlinks(device)
		s.must(err)
		drives = append(drives, guest.Drive{Raw: filepath.Join(copies, strconv.Itoa(i))})
		s.must(guest.CopySparse(s.ctx, file, drives[i].Raw))
	}
	// The guest has gone on meanwhile, and the copies have nothing of that.
	s.must(console.WaitAcks(s.ctx, len(console.Acks())+40))
	l, err := guest.CheckLedger(s.ctx, drives)
	s.must(err)
	s.must(l.Verify(acked))
	if l.Max > latest+guest.WitnessBatch {
		t.Fatalf("the snapshot has row %d, and %d were acknowledged when it was complete", l.Max, latest)
	}
	t.Logf("the snapshot has %d rows; %d were acknowledged before it, %d after", l.Max, acked, latest)

	s.must(s.c.Unplug(s.ctx, tm.Ref, files(plugs)))
	s.must(s.c.RemoveSnapshot(s.ctx, v.Ref, snap.Ref))
	s.must(console.WaitAcks(s.ctx, len(console.Acks())+10))
	s.must(s.c.PowerOff(s.ctx, v.Ref))
	s.must(console.Close())
	now := s.vm("db01")
	if len(now.Snapshots) > 0 || len(now.Hardware.Disks[0].Below) > 0 {
		t.Fatalf("the snapshot left something: %+v", now)
	}
}

func files(plugs []inventory.Plug) (out []string) {
	for _, p := range plugs {
		out = append(out, p.File)
	}
	return out
}

// A guest that powers itself off takes its VM with it.
func TestGuestPowersOff(t *testing.T) {
	s := newVCenter(t, "--boot", "check")
	v := s.vm("db01")
	console := s.powerOn(v)
	l, err := console.Ledger(s.ctx)
	s.must(err)
	s.must(l.Verify(0))
	s.eventually("its VM is off", func() error {
		if now := s.vm("db01"); now.Power != "off" {
			return fmt.Errorf("it is %s", now.Power)
		}
		return nil
	})
	s.must(s.noGuests())
}

// Attaching the I/O filter to a disk starts its daemon, which is started again
// when it dies, and ends with the filter or with the VM.
func TestFilterHasADaemon(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "fake")
	said := bin + ".said"
	if err := os.WriteFile(bin, []byte("#!/bin/sh\necho \"$@\" >>"+said+"\nexec sleep 86399\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := newVCenter(t, "--tidemark", bin+" --site prod")
	v := s.vm("db01")
	inv, err := s.c.Inventory(s.ctx)
	s.must(err)
	fs, err := s.c.Filters(s.ctx, inv.Clusters[0].Ref)
	s.must(err)
	if len(fs) != 1 {
		t.Fatalf("filters: %+v", fs)
	}
	s.powerOn(v)
	d := v.Hardware.Disks[1]
	s.must(s.c.AttachFilter(s.ctx, v.Ref, fs[0].ID, "", map[int32]map[string]string{
		d.Key: {"group": "shop-db01", "disk": "scsi0-1", "endpoint": "nbd://127.0.0.1:10809/scsi0-1"}}))
	want := fmt.Sprintf("--site prod tap attach shop-db01 --disk scsi0-1 --qmp %s/s/1-m%d --device disk%d --live --endpoint nbd://127.0.0.1:10809/scsi0-1\n", s.dir, d.Key, d.Key)
	lives := func(n int) func() error {
		return func() error {
			text, err := os.ReadFile(said)
			if err == nil && string(text) != strings.Repeat(want, n) {
				err = fmt.Errorf("it was run as:\n%swant %d times:\n%s", text, n, want)
			}
			return err
		}
	}
	s.eventually("the daemon runs", lives(1))
	daemon := func() int {
		pids := running(t, "86399")
		if len(pids) != 1 {
			return 0
		}
		return pids[0]
	}
	s.eventually("the daemon sleeps", func() error {
		if daemon() == 0 {
			return fmt.Errorf("%v", running(t, "86399"))
		}
		return nil
	})
	p, err := os.FindProcess(daemon())
	s.must(err)
	s.must(p.Kill())
	s.eventually("the daemon runs again", lives(2))
	s.must(s.c.DetachFilter(s.ctx, v.Ref, fs[0].ID, []int32{d.Key}))
	if pids := running(t, "86399"); len(pids) > 0 {
		t.Fatalf("the filter is gone, and its daemon runs: %v", pids)
	}
	s.must(s.c.AttachFilter(s.ctx, v.Ref, fs[0].ID, "", map[int32]map[string]string{
		d.Key: {"group": "shop-db01", "disk": "scsi0-1", "endpoint": "nbd://127.0.0.1:10809/scsi0-1"}}))
	s.eventually("the daemon runs a third time", lives(3))
	s.must(s.c.PowerOff(s.ctx, v.Ref))
	if pids := running(t, "86399"); len(pids) > 0 {
		t.Fatalf("the VM is off, and its daemon runs: %v", pids)
	}
	s.powerOn(v)
	s.eventually("the daemon comes back with the VM", lives(4))
}
