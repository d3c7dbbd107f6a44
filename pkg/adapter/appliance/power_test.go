package appliance

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Only the power button, and only when it goes down, switches the machine off.
func TestThePowerButtonIsPressed(t *testing.T) {
	dir := t.TempDir()
	for name, is := range map[string]string{"event0": "AT Translated Set 2 keyboard", "event1": "Power Button", "event2": "Sleep Button"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "device"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "device", "name"), []byte(is+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := powerButtons(dir); !slices.Equal(got, []string{"event1"}) {
		t.Error(got)
	}
	event := func(kind, code uint16, value uint32) []byte {
		b := binary.LittleEndian.AppendUint16(make([]byte, 16), kind)
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(b, code), value)
	}
	for _, x := range []struct {
		events [][]byte
		want   bool
	}{
		{[][]byte{event(1, 116, 1), event(0, 0, 0)}, true},
		{[][]byte{event(0, 0, 0), event(1, 142, 1), event(1, 116, 1)}, true},
		{[][]byte{event(1, 116, 0), event(1, 30, 1), event(4, 116, 1)}, false},
		{[][]byte{event(1, 116, 1)[:20]}, false},
	} {
		if got := pressed(bytes.NewReader(slices.Concat(x.events...))); got != x.want {
			t.Errorf("%v: %v", x.events, got)
		}
	}
}
