package guest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/qmp"
)

// nbdServer serves an empty raw file of size bytes with qemu-nbd until the test
// ends or stop is called; it holds a lock on the file meanwhile.
func nbdServer(ctx context.Context, t *testing.T, size int64) (socket, file string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tmnbd") // short: a socket address has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, file = filepath.Join(dir, "s"), filepath.Join(dir, "target.raw")
	if err := emptyFile(file, size); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("qemu-nbd", "--persistent", "--shared=4", "--format=raw", "--export-name=disk", "--socket="+socket, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	t.Cleanup(stop)
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return socket, file, stop
		}
		select {
		case <-ctx.Done():
			t.Fatal("qemu-nbd does not listen")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// The whole rig as the product's tests use it, with qemu-nbd in the product's
// place: both disks of a running guest are mirrored from the node above the
// write log. Standing still, each target is the log's last prefix; after kill
// -9, the pair of targets has every acknowledged row.
func TestMirrorFromTheLoggedNode(t *testing.T) {
	Require(t)
	ctx := deadline(t, 15*time.Minute)
	im, root, data := disks(ctx, t)
	vm := boot(ctx, t, Config{Images: im, Drives: []Drive{{Raw: root, Log: root + ".log"}, {Raw: data, Log: data + ".log"}}})

	var targets []string
	var stops []func()
	for i, size := range []int64{RootBytes, DataBytes} {
		socket, file, stop := nbdServer(ctx, t, size)
		targets, stops = append(targets, file), append(stops, stop)
		node := fmt.Sprintf("target%d", i)
		if err := vm.QMP().AddNBD(ctx, qmp.NBD{Node: node, Address: socket, Export: "disk"}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		m, err := qmp.StartMirror(ctx, vm.QMP(), qmp.MirrorConfig{Job: fmt.Sprintf("tap%d", i), Device: fmt.Sprintf("disk%d", i), Target: node})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("disk%d copied in %.1fs", i, time.Since(began).Seconds())
	}

	if err := vm.WaitAcks(ctx, len(vm.Acks())+40); err != nil {
		t.Fatal(err)
	}
	if err := vm.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	for i, d := range []struct{ base, log string }{{im.Root, root + ".log"}, {im.Data, data + ".log"}} {
		l := openLog(t, d.log)
		m, err := l.Compare(d.base, targets[i])
		if err != nil {
			t.Fatal(err)
		}
		if m.Longest != len(l.Entries) {
			t.Fatalf("target %d is not the end of the log's %d entries: %+v", i, len(l.Entries), m)
		}
	}
	if err := vm.Thaw(ctx); err != nil {
		t.Fatal(err)
	}

	if err := vm.WaitAcks(ctx, len(vm.Acks())+40); err != nil {
		t.Fatal(err)
	}
	vm.Kill9()
	for _, stop := range stops {
		stop()
	}
	l := check(ctx, t, targets[0], targets[1])
	if err := l.Verify(vm.LastAck()); err != nil {
		t.Fatal(err)
	}
}

// The other way to reach the product: the guest's disk is the NBD export.
func TestDiskIsAnNBDExport(t *testing.T) {
	Require(t)
	ctx := deadline(t, 10*time.Minute)
	im, root, _ := disks(ctx, t)
	socket, file, _ := nbdServer(ctx, t, DataBytes)
	if err := CopySparse(ctx, im.Data, file); err != nil {
		t.Fatal(err)
	}
	vm := boot(ctx, t, Config{Images: im, Drives: []Drive{{Raw: root}, {NBD: socket, Export: "disk"}}, Rows: 20})
	if err := vm.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	l, err := CheckLedger(ctx, []Drive{{Raw: root}, {NBD: socket, Export: "disk"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(20); err != nil || l.Max != 20 || vm.LastAck() != 20 {
		t.Fatalf("want 20 rows, have %d, acknowledged %d: %v", l.Max, vm.LastAck(), err)
	}
}
