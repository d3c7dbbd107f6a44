package robustness

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/e2e/robustness/sites"
)

// The power of the source site fails: what its NATS server had not yet brought
// to the disk is gone, and so are the frames that stood in memory. The disks are
// as they were. Nothing older is harmed, and all is replicated again. Needs root.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, c := range []struct {
		name string
		// restarts: capture takes so many epochs meanwhile, which are forgotten.
		restarts int
		// state: what capture had not brought to the disk is gone, too.
		state bool
		// deaf: only the NATS server loses its power, and capture is killed, which
		// had not heard for a while what the stream has.
		deaf bool
	}{{name: "stream"}, {name: "epoch", restarts: 1}, {name: "epochs", restarts: 3}, {name: "state", restarts: 1, state: true}, {name: "answer", deaf: true}} {
		t.Run(c.name, func(t *testing.T) {
			boot, memory := "", ""
			w := newWorld(t, "rollback", func(w *world, _ *sites.Config) {
				boot, memory = filepath.Join(w.dir, "boot_id"), filepath.Join(w.dir, "memory")
				w.newBoot(boot, memory)
				w.machine = map[string]string{boot: "/proc/sys/kernel/random/boot_id", memory: "/dev/shm"}
			})
			w.guests.Start()
			w.protected()
			time.Sleep(w.some(1500))
			if found, err := filepath.Glob(filepath.Join(memory, "tidemark", "*", w.job+".window")); err != nil || len(found) != 1 {
				t.Fatalf("capture's memory is elsewhere: %v, %v", found, err)
			}
			// What is on the disk by now.
			onDisk := map[string]string{"nats-prod": filepath.Join(w.dir, "nats-prod")}
			if c.state {
				onDisk["prod"] = filepath.Join(w.dir, "prod")
			}
			w.ProdBus.Deafen(c.deaf)
			w.Capture.Freeze()
			w.ProdNATS.Freeze()
			for name, from := range onDisk {
				if err := os.CopyFS(filepath.Join(w.dir, "saved", name), os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
			}
			w.ProdNATS.Thaw()
			w.Capture.Thaw()
			for range c.restarts {
				time.Sleep(200*time.Millisecond + w.some(500))
				w.restart([]*proc.Process{w.Capture})
			}
			time.Sleep(time.Second + w.some(1500))
			proc.Kill(w.Capture, w.ProdNATS)
			w.ProdBus.Deafen(false)
			for name, at := range onDisk {
				if err := os.RemoveAll(at); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(filepath.Join(w.dir, "saved", name), at); err != nil {
					t.Fatal(err)
				}
			}
			if !c.deaf {
				w.newBoot(boot, memory)
			}
			for _, x := range []*proc.Process{w.ProdNATS, w.Capture} {
				if err := x.Start(); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Second)
			w.settle()
			w.oneChain()
		})
	}
}

// newBoot makes a machine's memory empty, and its boot another one.
func (w *world) newBoot(id, memory string) {
	w.t.Helper()
	err := os.RemoveAll(memory)
	if err == nil {
		err = os.MkdirAll(memory, 0o700)
	}
	if err == nil {
		text := fmt.Sprintf("%08x-0000-4000-8000-%012x\n", w.rng.Uint32(), w.rng.Uint32())
		err = os.WriteFile(id, []byte(text), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
