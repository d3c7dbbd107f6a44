package vsphere

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/guest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
)

const opGuest = "run a script in the guest of"

// guestRun is one script in one guest. It has a directory there, with the script, a file
// "run" that starts it once, and later its output and its exit code.
type guestRun struct {
	c     *Client
	vm    types.ManagedObjectReference
	auth  types.BaseGuestAuthentication
	s     inventory.GuestScript
	dir   string
	shape guestShape
	files *guest.FileManager
	procs *guest.ProcessManager
}

// RunInGuest runs a script in a guest and waits for its end. A script of an ID that the
// guest ran before is not run again: its result is returned. If ctx ends, the script goes
// on; a later call waits for it.
//
// Transient: VMware Tools do not answer yet. Invalid: the guest refuses the user or
// password. Conflict: the script began earlier and has no result, for the guest was
// restarted, say; or the guest does not allow it.
func (c *Client) RunInGuest(ctx context.Context, vm inventory.Ref, s inventory.GuestScript) (inventory.GuestResult, error) {
	var none inventory.GuestResult
	g, err := c.guestRun(ctx, vm, s)
	if err != nil {
		return none, err
	}
	there, err := g.look(ctx)
	if cdp.Is(err, cdp.NotFound) {
		there, err = nil, g.make(ctx)
	}
	if err != nil {
		return none, err
	}
	if _, began := there[guestBegan]; !began {
		if err := g.start(ctx, there); err != nil {
			return none, err
		}
	}
	return g.await(ctx)
}

// ForgetGuestRun removes what RunInGuest left in the guest: the script, its output and
// its result. One that never ran is no error.
func (c *Client) ForgetGuestRun(ctx context.Context, vm inventory.Ref, s inventory.GuestScript) error {
	g, err := c.guestRun(ctx, vm, s)
	if err != nil {
		return err
	}
	err = c.do(ctx, opGuest, g.vm.String(), func(ctx context.Context, _ *vim25.Client) error {
		return g.files.DeleteDirectory(ctx, g.auth, g.dir, true)
	})
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	return err
}

func (c *Client) guestRun(ctx context.Context, vm inventory.Ref, s inventory.GuestScript) (*guestRun, error) {
	ref, err := vmRef(vm)
	if err != nil {
		return nil, err
	}
	if s.ID == "" || s.User == "" {
		return nil, cdp.Errorf(cdp.Invalid, opGuest, ref.String(), "the script has no ID, or no user to run as")
	}
	g := &guestRun{c: c, vm: ref, s: s, shape: posixGuest, auth: &types.NamePasswordAuthentication{Username: s.User, Password: s.Password}}
	if s.Windows {
		g.shape = windowsGuest
	}
	// The name must not be guessed: who makes the directory first decides what is run.
	sum := hmac.New(sha256.New, []byte(s.Password))
	sum.Write([]byte(s.ID))
	g.dir = g.shape.temp + "tidemark-" + hex.EncodeToString(sum.Sum(nil)[:12])
	err = c.do(ctx, opGuest, ref.String(), func(ctx context.Context, v *vim25.Client) (err error) {
		m := guest.NewOperationsManager(v, ref)
		if g.files, err = m.FileManager(ctx); err == nil {
			g.procs, err = m.ProcessManager(ctx)
		}
		return err
	})
	return g, err
}

// look lists the files of the run, with their sizes; NotFound: it has no directory yet.
func (g *guestRun) look(ctx context.Context) (map[string]int64, error) {
	there := map[string]int64{}
	err := g.c.do(ctx, opGuest, g.vm.String(), func(ctx context.Context, _ *vim25.Client) error {
		clear(there)
		list, err := g.files.ListFiles(ctx, g.auth, g.dir, 0, 100, "")
		if err != nil {
			return err
		}
		for _, f := range list.Files {
			there[f.Path[strings.LastIndexAny(f.Path, `/\`)+1:]] = f.Size
		}
		return nil
	})
	return there, err
}

// make makes the run's directory, for its user alone.
func (g *guestRun) make(ctx context.Context) error {
	return g.c.do(ctx, opGuest, g.vm.String(), func(ctx context.Context, _ *vim25.Client) error {
		if err := g.files.MakeDirectory(ctx, g.auth, g.dir, false); err != nil && !isFault[*types.FileAlreadyExists](err) {
			return err
		}
		if g.s.Windows {
			return nil // below C:\Windows\Temp only its user and administrators have it
		}
		return g.files.ChangeFileAttributes(ctx, g.auth, g.dir, &types.GuestPosixFileAttributes{Permissions: 0o700})
	})
}

// start puts the files that are not there yet, the starter last, and runs it. The
// starter does nothing if another one was faster.
func (g *guestRun) start(ctx context.Context, there map[string]int64) error {
	starter := g.shape.starter(g.s.Env)
	if size, ok := there[g.shape.run]; !ok || size != int64(len(starter)) {
		if err := g.put(ctx, g.shape.script, g.s.Text); err != nil {
			return err
		}
		if err := g.put(ctx, g.shape.run, starter); err != nil {
			return err
		}
	}
	path, args := g.shape.command(g.dir)
	return g.c.do(ctx, opGuest, g.vm.String(), func(ctx context.Context, _ *vim25.Client) error {
		_, err := g.procs.StartProgram(ctx, g.auth, &types.GuestProgramSpec{ProgramPath: path, Arguments: args})
		return err
	})
}

// await waits for the result.
func (g *guestRun) await(ctx context.Context) (inventory.GuestResult, error) {
	var none inventory.GuestResult
	began := time.Now()
	for {
		// Processes first: one that ends in between has left its result.
		runs, err := g.running(ctx)
		if err != nil {
			return none, err
		}
		there, err := g.look(ctx)
		if err != nil {
			return none, err
		}
		if _, ended := there[guestExit]; ended {
			return g.result(ctx)
		}
		if !runs {
			return none, cdp.Errorf(cdp.Conflict, opGuest, g.vm.String(), "the script began, and ended without a result: it was killed, or the guest was restarted")
		}
		pause := min(max(time.Since(began)/10, 100*time.Millisecond), 2*time.Second)
		if err := clock.Sleep(ctx, clock.System, pause); err != nil {
			return none, cdp.Errorf(cdp.Transient, opGuest, g.vm.String(), "the script did not end in time")
		}
	}
}

// running reports whether the guest has a process of the run.
func (g *guestRun) running(ctx context.Context) (bool, error) {
	runs := false
	err := g.c.do(ctx, opGuest, g.vm.String(), func(ctx context.Context, _ *vim25.Client) error {
		list, err := g.procs.ListProcesses(ctx, g.auth, nil)
		runs = false
		for _, p := range list {
			runs = runs || p.EndTime == nil && strings.Contains(p.CmdLine, g.dir)
		}
		return err
	})
	return runs, err
}

func (g *guestRun) result(ctx context.Context) (inventory.GuestResult, error) {
	var r inventory.GuestResult
	exit, err := g.get(ctx, guestExit)
	if err != nil {
		return r, err
	}
	if r.Exit, err = strconv.Atoi(strings.TrimSpace(exit)); err != nil {
		return r, cdp.Errorf(cdp.Conflict, opGuest, g.vm.String(), "its exit code is %.20q, not a number", exit)
	}
	r.Output, err = g.get(ctx, guestOutput)
	return r, err
}
