package guesttest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/cdp"
)

// DiskNames are the guest's two disks in the job: the root disk, and the disk of
// the database's log.
var DiskNames = [2]string{"system", "log"}

// Variant is how a guest is protected.
type Variant struct {
	Tap     bool   // else inline
	Journal string // rollback or roll-forward
}

func (v Variant) capture() string {
	if v.Tap {
		return string(cdp.Tap)
	}
	return string(cdp.Inline)
}

// Source is a guest under protection: a job of two disks, replicated once a
// second, and the machine that writes to them.
type Source struct {
	Variant
	Job    string
	Images *guest.Images // what the disks were before the first write
	VM     *guest.VM
	Acks   *Acks
	Files  [2]string // the source's disks
	Logs   [2]string // QEMU's record of the writes; empty without Oracle
	Target [2]string // the replica's disks

	taps []*proc.Process
}

// SourceConfig says what to protect.
type SourceConfig struct {
	Variant
	Job string
	Dir string // for disks, replica and the guest's files
	// Oracle has QEMU record all writes.
	Oracle bool
}

// Protect describes a job, starts it and boots its guest; it returns once the
// database is up and all of both disks is on its way. The caller must Kill it.
func Protect(ctx context.Context, p *Product, cfg SourceConfig) (s *Source, err error) {
	s = &Source{Variant: cfg.Variant, Job: cfg.Job}
	defer func() {
		if err != nil {
			s.Kill()
			s = nil
		}
	}()
	if s.Images, err = guest.Prepare(ctx); err != nil {
		return s, err
	}
	for _, dir := range []string{"source", "replica", "vm"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, dir), 0o700); err != nil {
			return s, err
		}
	}
	if s.Files[0], s.Files[1], err = s.Images.Clone(ctx, filepath.Join(cfg.Dir, "source")); err != nil {
		return s, err
	}
	for i, name := range DiskNames {
		s.Target[i] = filepath.Join(cfg.Dir, "replica", name+".raw")
		if cfg.Oracle {
			s.Logs[i] = filepath.Join(cfg.Dir, name+".log")
		}
	}
	file := filepath.Join(cfg.Dir, "job.yaml")
	if err := os.WriteFile(file, []byte(s.spec()), 0o600); err != nil {
		return s, err
	}
	if _, err := p.Run(ctx, "apply", "-f", file); err != nil {
		return s, err
	}
	// An inline job copies what is on the disks while the guest boots on them.
	if _, err := p.Run(ctx, "job", "run", s.Job, "--no-wait"); err != nil {
		return s, err
	}
	st, err := p.Until(ctx, s.Job, "capture serves the disks", func(st Standing) bool {
		return st.Capture != nil && len(st.Capture.Exports) == len(DiskNames)
	})
	if err != nil {
		return s, err
	}
	if err := s.boot(ctx, p, filepath.Join(cfg.Dir, "vm"), st.Capture.Exports); err != nil {
		return s, err
	}
	return s, s.VM.WaitFor(ctx, "PG-UP")
}

// spec is the job as an operator writes it.
func (s *Source) spec() string {
	var source, target strings.Builder
	for i, name := range DiskNames {
		if s.Tap {
			fmt.Fprintf(&source, "      - {name: %s, size: %d}\n", name, []int64{guest.RootBytes, guest.DataBytes}[i])
		} else {
			fmt.Fprintf(&source, "      - {name: %s, path: %s}\n", name, s.Files[i])
		}
		fmt.Fprintf(&target, "      - {name: %s, path: %s}\n", name, s.Target[i])
	}
	return fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %s}
spec:
  source:
    site: prod
    capture: %s
    disks:
%s  target:
    site: dr
    disks:
%s  rpo: 1s
  journal: {mode: %s, history: 1h}
`, s.Job, s.capture(), source.String(), target.String(), s.Journal)
}

// boot starts the guest on the exports, or on its own disks with the exports
// told by QEMU.
func (s *Source) boot(ctx context.Context, p *Product, dir string, exports []string) (err error) {
	cfg := guest.Config{Images: s.Images, Dir: dir}
	for i := range DiskNames {
		d := guest.Drive{Raw: s.Files[i]}
		if !s.Tap {
			if d, err = nbdDrive(exports[i]); err != nil {
				return err
			}
		}
		d.Log = s.Logs[i]
		cfg.Drives = append(cfg.Drives, d)
		if s.Tap {
			// A monitor speaks to one client at a time.
			cfg.Args = append(cfg.Args, "-chardev", fmt.Sprintf("socket,id=tap%d,server=on,wait=off,path=%s", i, monitor(p, i)),
				"-mon", fmt.Sprintf("chardev=tap%d,mode=control", i))
		}
	}
	if s.VM, err = guest.Boot(ctx, cfg); err != nil {
		return err
	}
	s.Acks = WatchAcks(s.VM)
	return nil
}

// Kill kills -9 the guest, and what told the product its writes. It may be called
// again.
func (s *Source) Kill() {
	if s.VM != nil {
		s.VM.Kill9()
		s.Acks.End()
	}
	proc.Kill(s.taps...)
}
