package appliance

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vmware/vmw-guestinfo/rpcvmx"
	"github.com/vmware/vmw-guestinfo/vmcheck"

	"tidemark.dev/pkg/cdp"
)

// prefix is of all settings.
const prefix = "guestinfo.tidemark."

// firmware is where QEMU's settings are, each a file that is named as at a vCenter:
// -fw_cfg name=opt/guestinfo.tidemark.site,string=dr
const firmware = "/sys/firmware/qemu_fw_cfg/by_name/opt"

// guestinfo reads one setting: "" if it is not set. Unsupported, as a NotFound: the
// machine is neither a VMware VM nor QEMU's.
func guestinfo(key string) (string, error) { return setting(variable, key) }

// variable reads one variable that the hypervisor has for the machine.
func variable(name string) (string, error) {
	if _, err := os.Stat(firmware); err == nil {
		b, err := os.ReadFile(filepath.Join(firmware, name, "raw"))
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return string(b), err
	}
	// The ports of the hypervisor are open to the thread that asked for them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if is, err := vmcheck.IsVirtualWorld(true); err != nil || !is {
		return "", cdp.Errorf(cdp.NotFound, "read settings", name, "this machine is no VMware VM, and QEMU gives it no settings")
	}
	return rpcvmx.NewConfig().String(name, "")
}
