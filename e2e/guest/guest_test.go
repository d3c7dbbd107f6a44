package guest

import (
	"context"
	"testing"
	"time"
)

// deadline bounds a guest test: ten times what it takes on two idle cores.
func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// disks returns copies of the guest's two disks.
func disks(ctx context.Context, t *testing.T) (im *Images, root, data string) {
	t.Helper()
	im, err := Prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	root, data, err = im.Clone(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return im, root, data
}

// boot starts a guest that is killed with the test, and returns when its
// database is up.
func boot(ctx context.Context, t *testing.T, cfg Config) *VM {
	t.Helper()
	cfg.Dir = t.TempDir()
	began := time.Now()
	vm, err := Boot(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Kill9)
	if err := vm.WaitFor(ctx, "PG-UP"); err != nil {
		t.Fatal(err)
	}
	t.Logf("database up %.1fs after power-on", time.Since(began).Seconds())
	return vm
}

func check(ctx context.Context, t *testing.T, root, data string) Ledger {
	t.Helper()
	began := time.Now()
	l, err := CheckLedger(ctx, []Drive{{Raw: root}, {Raw: data}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("check took %.1fs: started=%t rows=%d..%d intent=%d", time.Since(began).Seconds(), l.Started, l.Min, l.Max, l.Intent)
	return l
}

// The baseline of every other guest test: on plain disks, kill -9 loses nothing
// that was acknowledged, and a second boot goes on where the first ended.
func TestGuestSurvivesKill(t *testing.T) {
	Require(t)
	ctx := deadline(t, 10*time.Minute)
	im, root, data := disks(ctx, t)
	var last int64
	for range 2 {
		vm := boot(ctx, t, Config{Images: im, Drives: []Drive{{Raw: root}, {Raw: data}}})
		began := time.Now()
		if err := vm.WaitAcks(ctx, 60); err != nil {
			t.Fatal(err)
		}
		t.Logf("%.0f rows/s", 60/time.Since(began).Seconds())
		vm.Kill9()
		if vm.LastAck() <= last {
			t.Fatalf("second boot acknowledged %d after %d", vm.LastAck(), last)
		}
		last = vm.LastAck()
		l := check(ctx, t, root, data)
		if err := l.Verify(last); err != nil {
			t.Fatal(err)
		}
		if l.Max > last+WitnessBatch {
			t.Fatalf("ledger has %d, only %d were acknowledged", l.Max, last)
		}
	}
}

// A machine that was brought back says what it found, and goes on with it.
func TestGuestResumes(t *testing.T) {
	Require(t)
	ctx := deadline(t, 10*time.Minute)
	im, root, data := disks(ctx, t)
	drives := []Drive{{Raw: root}, {Raw: data}}
	vm := boot(ctx, t, Config{Images: im, Drives: drives})
	if err := vm.WaitAcks(ctx, 20); err != nil {
		t.Fatal(err)
	}
	vm.Kill9()
	again := boot(ctx, t, Config{Images: im, Drives: drives, Mode: ModeResume})
	if err := again.WaitAcks(ctx, 10); err != nil {
		t.Fatal(err)
	}
	l := ParseLedger(again.Serial())
	if err := l.Verify(vm.LastAck()); err != nil {
		t.Fatal(err)
	}
	if first := again.Acks()[0]; first != l.Max+1 {
		t.Fatalf("the ledger ends at %d, and goes on at %d", l.Max, first)
	}
}
