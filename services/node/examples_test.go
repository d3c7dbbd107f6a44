package node

import (
	"path/filepath"
	"testing"
)

// The files of deploy/examples load, and each describes the sites its name says.
func TestExamplesLoad(t *testing.T) {
	want := map[string]struct{ sites, links int }{
		"up-one-machine.yaml":    {2, 1},
		"up-two-machines.yaml":   {2, 1},
		"up-hub-and-spokes.yaml": {3, 2},
	}
	files, err := filepath.Glob("../../deploy/examples/up-*.yaml")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%v, %v: want one file for each of %v", files, err, want)
	}
	for _, f := range files {
		c, err := LoadConfig(f)
		if w := want[filepath.Base(f)]; err != nil || len(c.Sites) != w.sites || len(c.Links) != w.links {
			t.Errorf("%s: %d sites, %d links, %v; want %+v", f, len(c.Sites), len(c.Links), err, w)
		}
	}
	one, err := LoadConfig("../../deploy/examples/up-one-machine.yaml")
	if def := DefaultConfig(); err != nil || one.Links[0] != def.Links[0] || one.Sites[0].Listen != def.Sites[0].Listen ||
		one.Sites[1].Listen != def.Sites[1].Listen || one.Sites[1].Leaf != def.Sites[1].Leaf {
		t.Errorf("up-one-machine.yaml says it is the default, and is not: %+v, %v", one, err)
	}
}
