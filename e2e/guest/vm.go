package guest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"tidemark.dev/pkg/adapter/qmp"
)

// VM is a started guest. Its methods may be called from several goroutines.
type VM struct {
	dir        string
	socket     string
	tempSocket bool
	cmd        *exec.Cmd
	serial     *serial
	qmp        *qmp.Client
	done       chan struct{} // closed when QEMU has ended and all its output is in
	exit       error         // of QEMU; valid once done is closed
}

// start runs QEMU on a thread of its own: the kernel kills the child when the
// thread that made it ends (Pdeathsig), so the thread must live as long as QEMU.
func (vm *VM) start(ctx context.Context, args []string) error {
	log, err := os.Create(filepath.Join(vm.dir, "serial.log"))
	if err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	complaints, err := os.Create(filepath.Join(vm.dir, "qemu.log"))
	if err != nil {
		log.Close()
		return fmt.Errorf("guest: %w", err)
	}
	vm.serial.copy = log
	vm.cmd = exec.Command("qemu-system-x86_64", args...)
	vm.cmd.Stdout, vm.cmd.Stderr = vm.serial, complaints
	vm.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	vm.done = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		defer complaints.Close()
		err := vm.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, vm.signal)
		vm.exit = vm.cmd.Wait()
		stop()
		vm.serial.end()
		close(vm.done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("guest: start QEMU: %w", err)
	}
	return nil
}

// Serial returns what the guest has printed so far, lines ending in \n.
func (vm *VM) Serial() string { return vm.serial.text() }

// WaitFor returns when the guest has printed substring. It fails when the guest
// ends without, or reports that its work failed.
func (vm *VM) WaitFor(ctx context.Context, substring string) error {
	return vm.serial.waitFor(ctx, substring)
}

// WaitAcks returns when the guest has acknowledged n rows; errors as WaitFor.
func (vm *VM) WaitAcks(ctx context.Context, n int) error { return vm.serial.waitAcks(ctx, n) }

// Acks returns the ids of all rows the guest printed as committed, in order.
func (vm *VM) Acks() []int64 { return vm.serial.acknowledged() }

// LastAck returns the last of Acks, 0 if there is none.
func (vm *VM) LastAck() int64 {
	acks := vm.Acks()
	if len(acks) == 0 {
		return 0
	}
	return acks[len(acks)-1]
}

// QMP returns the connection to QEMU. It ends with the VM.
func (vm *VM) QMP() *qmp.Client { return vm.qmp }

// Pid is QEMU's process, for tests that stop it with signals.
func (vm *VM) Pid() int { return vm.cmd.Process.Pid }

// Freeze stops the guest's processors and waits until its disks are idle: from
// then on what is on them, and in write logs, stands still.
func (vm *VM) Freeze(ctx context.Context) error { return vm.qmp.Execute(ctx, "stop", nil, nil) }

// Thaw lets a frozen guest go on.
func (vm *VM) Thaw(ctx context.Context) error { return vm.qmp.Execute(ctx, "cont", nil, nil) }

// Kill9 kills QEMU as kill -9 does, and returns when it has ended and all that
// the guest printed before is in Acks and Serial. It may be called again.
func (vm *VM) Kill9() {
	vm.signal()
	<-vm.done
	vm.cleanup()
}

// Wait returns when QEMU has ended by itself: nil if it did so with status 0,
// which a guest's power-off gives. It kills nothing when ctx ends.
func (vm *VM) Wait(ctx context.Context) error {
	select {
	case <-vm.done:
	case <-ctx.Done():
		return fmt.Errorf("guest: wait for power-off: %w", ctx.Err())
	}
	vm.cleanup()
	if vm.exit != nil {
		return fmt.Errorf("guest: QEMU: %w: %s", vm.exit, vm.complaints())
	}
	return nil
}

// signal kills QEMU's process group, unless it has ended: its number may be
// another's by then.
func (vm *VM) signal() {
	select {
	case <-vm.done:
	default:
		syscall.Kill(-vm.cmd.Process.Pid, syscall.SIGKILL)
	}
}

func (vm *VM) cleanup() {
	if vm.qmp != nil {
		vm.qmp.Close()
	}
	if vm.tempSocket {
		os.RemoveAll(filepath.Dir(vm.socket))
	}
}

// complaints is what QEMU itself said.
func (vm *VM) complaints() string {
	b, _ := os.ReadFile(filepath.Join(vm.dir, "qemu.log"))
	return lastLines(string(b), 5)
}
