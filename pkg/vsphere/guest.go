package vsphere

import (
	"context"
	"time"

	"github.com/vmware/govmomi/guest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
)

// Run runs a program in the guest through its tools and gives its exit code.
// When ctx ends the program is told to end too. Transient: the tools do not
// answer (yet). Invalid: the user name or password is wrong, or there is no
// such program.
func (c *Client) Run(ctx context.Context, vm vms.Ref, as vms.Login, program, args string) (int, error) {
	const op = "run a program in the guest"
	ref, err := vmRef(vm)
	if err != nil {
		return 0, err
	}
	subject := ref.String() + " " + program
	m, err := c.load(ctx, op, ref, "runtime.powerState", "guest.toolsRunningStatus")
	if err != nil {
		return 0, err
	}
	if p := m.Runtime.PowerState; p != types.VirtualMachinePowerStatePoweredOn {
		return 0, cdp.Errorf(cdp.Conflict, op, subject, "it is %s", powerWord(p))
	}
	if m.Guest == nil || m.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
		return 0, cdp.Errorf(cdp.Transient, op, subject, "VMware Tools do not run in the guest").
			WithHint("install open-vm-tools, or wait until the guest has started")
	}
	auth := &types.NamePasswordAuthentication{Username: as.User, Password: as.Password}
	var procs *guest.ProcessManager
	var pid int64
	err = c.do(ctx, op, subject, func(ctx context.Context, v *vim25.Client) error {
		p, err := guest.NewOperationsManager(v, ref).ProcessManager(ctx)
		if err != nil {
			return err
		}
		procs = p
		pid, err = p.StartProgram(ctx, auth, &types.GuestProgramSpec{ProgramPath: program, Arguments: args})
		return refusedByGuest(op, subject, as, err)
	})
	if err != nil {
		return 0, err
	}
	code, err := c.exit(ctx, op, subject, procs, auth, pid)
	if ctx.Err() != nil {
		// Nobody waits for it any more, so it should not go on.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = c.do(end, op, subject, func(ctx context.Context, _ *vim25.Client) error {
			return procs.TerminateProcess(ctx, auth, pid)
		})
	}
	return code, err
}

// exit waits for the end of a program.
func (c *Client) exit(ctx context.Context, op, subject string, procs *guest.ProcessManager, auth types.BaseGuestAuthentication, pid int64) (int, error) {
	lost := 0
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		var list []types.GuestProcessInfo
		err := c.do(ctx, op, subject, func(ctx context.Context, _ *vim25.Client) error {
			l, err := procs.ListProcesses(ctx, auth, []int64{pid})
			list = l
			return err
		})
		switch {
		case err != nil && (ctx.Err() != nil || !cdp.Is(err, cdp.Transient)):
			return 0, err
		case err != nil, len(list) == 0:
			// The tools forget a program some minutes after its end, and all of them
			// when they are started again.
			if lost++; lost == 10 {
				return 0, cdp.Errorf(cdp.Transient, op, subject, "the guest's tools no longer know the program (%d), so how it ended is not known", pid)
			}
		case list[0].EndTime != nil:
			return int(list[0].ExitCode), nil
		default:
			lost = 0
		}
		if err := sleep(ctx, pause); err != nil {
			return 0, c.fail(ctx, op, subject, err)
		}
	}
}

// refusedByGuest puts what only guests say in our words.
func refusedByGuest(op, subject string, as vms.Login, err error) error {
	if err == nil {
		return nil
	}
	f, text := faultOf(err)
	switch f.(type) {
	case *types.InvalidGuestLogin, *types.GuestPermissionDenied:
		return cdp.Errorf(cdp.Invalid, op, subject, "the guest does not accept the user %q or its password", as.User)
	case *types.FileNotFound, *types.CannotAccessFile:
		return cdp.Errorf(cdp.Invalid, op, subject, "the guest has no such program (%s)", text)
	case *types.GuestOperationsUnavailable, *types.ToolsUnavailable:
		return cdp.Errorf(cdp.Transient, op, subject, "VMware Tools do not answer in the guest")
	}
	return err
}
