package appliance

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
)

// onPowerButton calls do when a power button of the machine is pressed, as a hypervisor
// does it for who shuts the machine down, until ctx ends.
func onPowerButton(ctx context.Context, do func()) {
	for _, name := range powerButtons("/sys/class/input") {
		f, err := os.Open(filepath.Join("/dev/input", name))
		if err != nil {
			continue // as a machine without a button
		}
		context.AfterFunc(ctx, func() { f.Close() })
		go func() {
			if pressed(f) {
				do()
			}
		}()
	}
}

// powerButtons are the power buttons among the input devices below dir, such as event0.
func powerButtons(dir string) (out []string) {
	found, _ := filepath.Glob(filepath.Join(dir, "event*"))
	for _, f := range found {
		if sysfs(f, "device", "name") == "Power Button" {
			out = append(out, filepath.Base(f))
		}
	}
	return out
}

// pressed reads Linux's struct input_event until one says that the power button goes
// down. False: the device has ended.
func pressed(r io.Reader) bool {
	const (
		key, power, down = 1, 116, 1 // EV_KEY, KEY_POWER
		stamp            = 16        // bytes of a time before them
	)
	b := make([]byte, stamp+8)
	for {
		if _, err := io.ReadFull(r, b); err != nil {
			return false
		}
		le := binary.LittleEndian
		if le.Uint16(b[stamp:]) == key && le.Uint16(b[stamp+2:]) == power && le.Uint32(b[stamp+4:]) == down {
			return true
		}
	}
}
