package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/e2e/lab/stage"
	"tidemark.dev/pkg/cdp"
)

// cmdPlay runs both sites for a person, until ctx ends.
func cmdPlay(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("lab", flag.ContinueOnError)
	tidemark := f.String("tidemark", "bin/tidemark", "the tidemark `binary`")
	dir := f.String("dir", "", "work in this `directory` and leave it there; it must be empty (default: a temporary one)")
	capture := f.String("capture", "tap", "how db01 is protected: tap, cbt, or none to do it yourself")
	if err := f.Parse(args); err != nil {
		return err
	}
	cfg := stage.Config{Dir: *dir, Ports: &stage.Ports{ProdVCenter: "127.0.0.1:8989", DRVCenter: "127.0.0.1:8990",
		ProdNATS: "127.0.0.1:4222", DRNATS: "127.0.0.1:4223", Leaf: "127.0.0.1:7422"}}
	if cfg.Tidemark, err = filepath.Abs(*tidemark); err != nil {
		return err
	}
	if _, err := os.Stat(cfg.Tidemark); err != nil {
		return fmt.Errorf("%w: make build", err)
	}
	if cfg.Lab, err = os.Executable(); err != nil {
		return err
	}
	if cfg.Dir == "" {
		if cfg.Dir, err = os.MkdirTemp("", "tmlab"); err != nil {
			return err
		}
		defer os.RemoveAll(cfg.Dir)
	} else if cfg.Dir, err = emptyDir(cfg.Dir); err != nil {
		return err
	}
	s, err := stage.New(cfg)
	if err != nil {
		return err
	}
	defer func() {
		fmt.Println("\nstopping")
		err = errors.Join(err, s.Stop())
	}()
	fmt.Println("Two vCenters, their guests and Tidemark start; the first time the guest's disks are built, which takes a minute or two.")
	if err := startStage(ctx, s, *capture); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	manual(os.Stdout, s, cfg, *capture)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		if err := s.DRTidemark.Running(); err != nil { // prod's processes are there to be killed
			return err
		}
	}
}

// emptyDir makes a directory, and refuses one that has something in it.
func emptyDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if have, err := os.ReadDir(dir); err != nil || len(have) > 0 {
		return "", errors.Join(err, fmt.Errorf("%s is not empty, and an old lab does not go on: name an empty directory, or none", dir))
	}
	return dir, nil
}

// startStage starts everything, and protects the VM.
func startStage(ctx context.Context, s *stage.Stage, capture string) error {
	sctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := s.Start(sctx); err != nil {
		return err
	}
	if capture == "none" {
		_, err := s.WriteJob(stage.Protection{Capture: cdp.Tap})
		return err
	}
	return s.Protect(sctx, stage.Protection{Capture: cdp.CaptureMode(capture)})
}

// manual says what to try.
func manual(w io.Writer, s *stage.Stage, cfg stage.Config, capture string) {
	bold := func(format string, args ...any) { fmt.Fprintf(w, "\n\033[1m%s\033[0m\n", fmt.Sprintf(format, args...)) }
	say := func(format string, args ...any) { fmt.Fprintf(w, "  %s\n", fmt.Sprintf(format, args...)) }
	bold("Two sites run. In another terminal:")
	say("export TIDEMARK_DIR=%s PATH=%s:$PATH", s.State(), filepath.Dir(cfg.Tidemark))
	if capture == "none" {
		bold("Protect the VM %s", stage.VM)
		say("tidemark apply -f %s -f %s", s.SiteFile(stage.Prod), s.SiteFile(stage.DR))
		say("tidemark apply -f %s          # a job to start from", filepath.Join(cfg.Dir, "job.yaml"))
		say("tidemark job run %s", s.Job())
	}
	bold("Look")
	say("tidemark inventory --site %s", stage.Prod)
	say("tidemark iofilter status --site %s", stage.Prod)
	say("tidemark site check; tidemark clock; tidemark transporter list")
	say("tidemark job status %s          # the VM %s is the group %s", s.Job(), stage.VM, s.Group())
	say("tidemark point list %s", s.Group())
	say("tail -F %s     # its console: ACK n is a committed row", s.Serial(stage.Prod, stage.VM))
	bold("Try a recovery; nothing is changed")
	say("tidemark failover %s --mode test --to vm", s.Group())
	say("grep -a LEDGER %s       # the machine's console tells what it found", s.Serial(stage.DR, "*"))
	say("tidemark failover cleanup %s", s.Group())
	bold("Lose the source site: vCenter, hosts, guests, NATS and capture at once")
	say("kill -9 %d %d %d", s.ProdVCenter.Pid(), s.ProdTidemark.Pid(), s.ProdCapture.Pid())
	say("tidemark failover %s --mode production --to vm", s.Group())
	say("tidemark failover undo %s --yes   # or commit", s.Group())
	bold("The vCenters themselves")
	for _, site := range []string{stage.Prod, stage.DR} {
		addr := s.Ports.ProdVCenter
		if site == stage.DR {
			addr = s.Ports.DRVCenter
		}
		say("%-5s https://%s   its certificate is of its own making; user and password in %s", site, addr, filepath.Join(s.Dir(site), "credentials.yaml"))
	}
	say("eval \"$(cat %s)\"; govc ls; govc vm.info %s; govc snapshot.create -vm %s mine", filepath.Join(s.Dir(stage.Prod), "govc.env"), stage.VM, stage.VM)
	say("govc vm.power -off %s         # and its QEMU is gone; -on boots it", stage.VM)
	bold("Logs are in %s; ctrl-c here stops everything.", filepath.Join(cfg.Dir, "log"))
}
