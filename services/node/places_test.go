package node

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/capture"
)

// fenced is a site's directory, and another that only replicas may use.
func fenced(t *testing.T) (p places, dir, replicas, outside string) {
	t.Helper()
	dir, replicas, outside = t.TempDir(), t.TempDir(), t.TempDir()
	for _, d := range []string{filepath.Join(dir, "dr", "scripts"), filepath.Join(dir, "dr", "capture")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{filepath.Join(outside, "disk"), filepath.Join(replicas, "disk"), filepath.Join(dir, "disk"), filepath.Join(dir, "dr", "credentials.json"), filepath.Join(dir, "key.pem")} {
		if err := os.WriteFile(f, make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return placesOf(dir, "dr", []cdp.Site{"dr", "prod"}, Allow{Replicas: []string{replicas}}, filepath.Join(dir, "key.pem")), dir, replicas, outside
}

// Whatever opens a path from the bus refuses one outside, and touches nothing there.
func TestNoServiceUsesAPathOutside(t *testing.T) {
	p, dir, replicas, outside := fenced(t)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	disks := []cdp.Disk{{Name: "d", Size: 4096}}
	for _, path := range []string{filepath.Join(outside, "disk"), filepath.Join(link, "disk"), filepath.Join(dir, "dr", "credentials.json"), filepath.Join(dir, "key.pem"), filepath.Join(replicas, "disk")} {
		if d, err := p.openSource(path, true); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("source %s: %v, %v", path, d, err)
		}
		if f := looker(p.sources)([]string{path}, true)[0]; f.Outside == "" || f.Kind != api.PathOther || f.ID != "" || f.Size != 0 {
			t.Errorf("a stranger learns what is at %s: %+v", path, f)
		}
	}
	for _, path := range []string{filepath.Join(outside, "new"), filepath.Join(link, "new"), filepath.Join(dir, "dr", "new"), filepath.Join(dir, "prod", "new")} {
		if r, err := p.Open(disks, []string{path}, true); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("replica %s: %v, %v", path, r, err)
		}
		if _, err := (nbdServers{places: p}).Serve(path, nil); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("export at %s: %v", path, err)
		}
		if _, err := (tapServers{&env{places: p}}).Serve(capture.Listen{Network: "unix", Address: path}, nil, func(error) {}); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("disks at %s: %v", path, err)
		}
		if f := (tapServers{&env{places: p}}).Look(path); f.Outside == "" {
			t.Errorf("nothing is said of %s", path)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("something was made at %s", path)
		}
	}
	r, err := p.Open(disks, []string{filepath.Join(replicas, "new")}, true)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	// A link is judged each time: this one leads outside only later.
	later := filepath.Join(dir, "later")
	if err := os.Symlink(dir, later); err != nil {
		t.Fatal(err)
	}
	d, err := p.openSource(filepath.Join(later, "disk"), false)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := os.Rename(link, later); err != nil {
		t.Fatal(err)
	}
	if d, err := p.openSource(filepath.Join(later, "disk"), false); !cdp.Is(err, cdp.Invalid) {
		t.Error(d, err)
	}
}

func TestNoServiceRunsAProgramOutside(t *testing.T) {
	p, dir, replicas, outside := fenced(t)
	put := func(path string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := vcenterFiles{p}
	good := put(filepath.Join(dir, "dr", scriptDir, "check"))
	if path, err := f.Script(good); err != nil || path != good {
		t.Error(path, err)
	}
	for _, path := range []string{put(filepath.Join(outside, "evil")), put(filepath.Join(replicas, "evil")), put(filepath.Join(dir, "dr", "capture", "evil")), "/bin/sh"} {
		if _, err := f.Script(path); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%s: %v", path, err)
		}
		if _, _, err := f.OVA(path); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%s as an OVA: %v", path, err)
		}
	}
}

// Without a path, the transporter is Tidemark's own, from beside the program.
func TestTheOwnOVALiesBesideTheProgram(t *testing.T) {
	p, _, _, _ := fenced(t)
	f := vcenterFiles{p}
	if _, _, err := f.OVA(""); !cdp.Is(err, cdp.NotFound) || !strings.Contains(cdp.HintOf(err), "make ova") {
		t.Errorf("%v; %s", err, cdp.HintOf(err))
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(filepath.Dir(program), ownOVA)
	if err := os.WriteFile(own, []byte("an OVA"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(own) })
	path, file, err := f.OVA("")
	if err != nil || path != own {
		t.Fatal(path, err)
	}
	defer file.Close()
	if b, err := io.ReadAll(file); err != nil || string(b) != "an OVA" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWhatIsAllowedByDefaultAndByFlags(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	a, err := ParseAllow([]string{"sub", "replicas=/srv/replicas"})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Sites: []SiteConfig{{Name: "dr"}, {Name: "prod", Allow: Allow{Sources: []string{"/disks"}}}}}
	c.AllowMore(a)
	dr, prod := c.Sites[0].Allow, c.Sites[1].Allow
	if got := strings.Join(dr.Replicas, " "); got != dir+" "+dir+"/sub /srv/replicas" {
		t.Error(got)
	}
	if got := strings.Join(prod.Sources, " "); got != "/disks "+dir+"/sub" || strings.Contains(strings.Join(prod.Scripts, " ")+" ", dir+" ") {
		t.Error(got, prod.Scripts)
	}
	t.Chdir("/")
	if a := (Config{}).allow(SiteConfig{}); !a.none() {
		t.Error("a service of systemd allows everything:", a)
	}
	for _, bad := range []string{"", "disks=/x", "sources="} {
		if a, err := ParseAllow([]string{bad}); !cdp.Is(err, cdp.Invalid) {
			t.Error(bad, a, err)
		}
	}
	if err := (Allow{Sockets: []string{"run"}}).check("allow"); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "allow.sockets") {
		t.Error(err)
	}
}
