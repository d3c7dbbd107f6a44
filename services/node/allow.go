package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// Allow lists the directories of a machine that jobs, exports and plans may use, with
// all below them; single files and devices, too. It comes from a local file or flags,
// never from the bus: a peer, or whoever writes there, cannot name other files.
type Allow struct {
	Sources  []string `json:"sources,omitempty"`  // disks that are captured
	Replicas []string `json:"replicas,omitempty"` // disks that replicas are written to
	Sockets  []string `json:"sockets,omitempty"`  // unix sockets that disks are served at
	Scripts  []string `json:"scripts,omitempty"`  // programs that check recovered VMs
}

func (a *Allow) kinds() []allowKind {
	return []allowKind{{"sources", &a.Sources}, {"replicas", &a.Replicas}, {"sockets", &a.Sockets}, {"scripts", &a.Scripts}}
}

type allowKind struct {
	name string
	dirs *[]string
}

func (a Allow) none() bool {
	return len(a.Sources)+len(a.Replicas)+len(a.Sockets)+len(a.Scripts) == 0
}

// ParseAllow reads flags of the form [KIND=]DIR; without a kind DIR is for all.
// Relative directories are taken from the working directory.
func ParseAllow(flags []string) (a Allow, err error) {
	for _, f := range flags {
		kind, dir, one := strings.Cut(f, "=")
		if !one {
			kind, dir = "", f
		}
		known := false
		for _, k := range a.kinds() {
			if kind != "" && kind != k.name {
				continue
			}
			known = true
			abs, err := filepath.Abs(dir)
			if dir == "" || err != nil {
				return a, cdp.Errorf(cdp.Invalid, "read --allow", f, "it names no directory").WithHint("write --allow DIR, or --allow replicas=DIR")
			}
			*k.dirs = append(*k.dirs, abs)
		}
		if !known {
			return a, cdp.Errorf(cdp.Invalid, "read --allow", f, "%q is no kind of path", kind).WithHint("use sources, replicas, sockets or scripts, as in --allow replicas=/srv/replicas; without a kind the directory is for all")
		}
	}
	return a, nil
}

// plus is a with what b lists.
func (a Allow) plus(b Allow) Allow {
	out := a
	add := b.kinds()
	for i, k := range out.kinds() {
		*k.dirs = slices.Concat(*k.dirs, *add[i].dirs)
	}
	return out
}

// check refuses what is not absolute.
func (a Allow) check(field string) error {
	for _, k := range a.kinds() {
		for _, dir := range *k.dirs {
			if !filepath.IsAbs(dir) {
				return cdp.Errorf(cdp.Invalid, "check", field+"."+k.name, "%q is not an absolute path", dir)
			}
		}
	}
	return nil
}

// workingDir allows the working directory, for trying things out. It allows nothing
// where that is the root, as it is for services of systemd.
func workingDir() Allow {
	dir, err := os.Getwd()
	if err != nil || dir == "/" {
		return Allow{}
	}
	all := []string{dir}
	return Allow{Sources: all, Replicas: all, Sockets: all, Scripts: all}
}

// allow is what a site's machine allows: what the file says for the site, else for all,
// else the working directory.
func (c Config) allow(s SiteConfig) Allow {
	switch {
	case !s.Allow.none():
		return s.Allow
	case !c.Allow.none():
		return c.Allow
	}
	return workingDir()
}

// AllowMore allows more at every site.
func (c *Config) AllowMore(a Allow) {
	for i, s := range c.Sites {
		c.Sites[i].Allow = c.allow(s).plus(a)
	}
}
