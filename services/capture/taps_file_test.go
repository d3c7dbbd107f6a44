package capture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// A damaged file of the taps' ports costs nothing while its copy is whole. With both
// damaged the service starts, names the file that it set aside, and gives no port that
// the filter of another VM may still write to.
func TestADamagedFileOfTapPortsStopsNoService(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taps.json")
	var said []error
	open := func() *tapPorts {
		t.Helper()
		p, err := openTapPorts(dir, func(err error) { said = append(said, err) })
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	take := func(p *tapPorts, job string, want int) {
		t.Helper()
		if port, err := p.take(job, 10900); err != nil || port != want {
			t.Errorf("%s gets port %d, not %d: %v", job, port, want, err)
		}
	}
	damage := func(path string) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[0] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, job := range []string{"a", "b", "c"} {
		take(open(), job, 10900+i)
	}
	damage(path)
	take(open(), "b", 10901)
	if len(said) > 0 {
		t.Error(said)
	}
	damage(path)
	damage(path + ".copy")
	p := open()
	if len(said) != 1 || !cdp.Is(said[0], cdp.Corrupt) || !strings.Contains(said[0].Error(), path+".damaged") {
		t.Errorf("what was said: %v", said)
	}
	take(p, "b", 10903)
	take(open(), "d", 10904)
	take(open(), "b", 10903)
	if len(said) != 1 {
		t.Errorf("said again: %v", said)
	}
}
