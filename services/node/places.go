package node

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/capture"
	"tidemark.dev/services/journal"
	"tidemark.dev/services/vcenter"
)

// places are the directories of a site that paths from the bus may lead to. Whatever
// opens a path that it did not make asks here each time.
type places struct{ sources, replicas, sockets, scripts localpath.Dirs }

// placesOf allows what a machine allows for a site, and dir, Tidemark's directory,
// without what the sites keep there, and without files that hold secrets.
func placesOf(dir string, site cdp.Site, sites []cdp.Site, a Allow, secrets ...string) places {
	own := []string{filepath.Join(dir, client.ContextName), filepath.Join(dir, "lock")}
	for _, s := range secrets {
		if abs, err := filepath.Abs(s); s != "" && err == nil {
			own = append(own, abs)
		}
	}
	for _, s := range sites {
		own = append(own, filepath.Join(dir, string(s)))
	}
	dirs := func(purpose string, in ...string) localpath.Dirs {
		return localpath.Dirs{For: purpose, In: append(in, dir), Except: own}
	}
	at := filepath.Join(dir, string(site))
	return places{
		sources:  dirs("sources", a.Sources...),
		replicas: dirs("replicas", a.Replicas...),
		// A socket replaces nothing, and those that nobody names are in the site's directory.
		sockets: dirs("sockets", append([]string{filepath.Join(at, "capture"), filepath.Join(at, "journal", "exports")}, a.Sockets...)...),
		scripts: dirs("scripts", append([]string{filepath.Join(at, scriptDir)}, a.Scripts...)...),
	}
}

// openSource is GroupDeps.Disk.
func (p places) openSource(path string, readOnly bool) (capture.Disk, error) {
	real, err := p.sources.Resolve(path)
	if err != nil {
		return nil, err
	}
	open := func() (*blockfile.File, error) { return blockfile.OpenLocked(real) }
	if readOnly { // somebody else writes it
		open = func() (*blockfile.File, error) { return blockfile.Open(real, true) }
	}
	f, err := open()
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Open is journal.Replicas.
func (p places) Open(disks []cdp.Disk, paths []string, fresh bool) (journal.Replica, error) {
	real := make([]string, len(paths))
	for i, path := range paths {
		var err error
		if real[i], err = p.replicas.Resolve(path); err != nil {
			return nil, err
		}
	}
	return replica.Open(disks, real, fresh)
}

// looker says what is at paths, if they may be used; of others nothing is said.
func looker(d localpath.Dirs) func(paths []string, closely bool) []api.DiskFacts {
	return func(paths []string, closely bool) []api.DiskFacts {
		once := d.Once()
		defer once.Close()
		var out []api.DiskFacts
		for _, path := range paths {
			real, err := once.Resolve(path)
			var f api.DiskFacts
			switch {
			case err != nil:
				f.Kind, f.Outside = api.PathOther, err.Error()
			case closely:
				f = blockfile.Look(real)
			default:
				f = blockfile.IdentifyBy(real, once.Open)
			}
			f.Path = path
			out = append(out, f)
		}
		return out
	}
}

// socket is where to listen for an address, which stays as it is unless it is a path.
func (p places) socket(address string) (string, error) {
	if !filepath.IsAbs(address) {
		return address, nil
	}
	real, err := p.sockets.Resolve(address)
	return real, cdp.Wrap(err, "listen", address)
}

// checkProgram refuses all but a regular file that nobody but its owner's group can
// change. A link is refused, for it may lead elsewhere tomorrow.
func checkProgram(path string) error {
	const op = "find script"
	st, err := os.Lstat(path)
	switch {
	case err != nil:
		e := &cdp.Error{Op: op, Kind: cdp.NotFound, Subject: path, Cause: err}
		return e.WithHint("put the program there; no other is run")
	case !st.Mode().IsRegular():
		return cdp.Errorf(cdp.Invalid, op, path, "it is not a regular file")
	case st.Mode().Perm()&0o100 == 0:
		return cdp.Errorf(cdp.Invalid, op, path, "it is not executable").WithHint("chmod 700 " + path)
	case st.Mode().Perm()&0o002 != 0:
		return cdp.Errorf(cdp.Invalid, op, path, "everybody may change it (mode %04o)", st.Mode().Perm()).WithHint("chmod 700 " + path)
	}
	return nil
}

// vcenterFiles is vcenter.Files.
type vcenterFiles struct{ places }

var _ vcenter.Files = vcenterFiles{}

// ownOVA is the file of Tidemark's own transporter. It lies beside the program, or where
// packages put it.
const ownOVA = "tidemark-transporter.ova"

// OVA implements vcenter.Files.
func (f vcenterFiles) OVA(path string) (string, io.ReadCloser, error) {
	if path == "" {
		return openOwnOVA()
	}
	real, err := f.sources.Resolve(path)
	if err != nil {
		return "", nil, err
	}
	file, err := localpath.Open(real, os.O_RDONLY, 0)
	if err != nil {
		return "", nil, cdp.Errorf(cdp.Invalid, "read the OVA", path, "%w", err)
	}
	return real, file, nil
}

func openOwnOVA() (string, io.ReadCloser, error) {
	const op = "find Tidemark's own OVA"
	program, err := os.Executable()
	if err != nil {
		return "", nil, cdp.Wrap(err, op, "")
	}
	paths := []string{filepath.Join(filepath.Dir(program), ownOVA), filepath.Join("/usr/share/tidemark", ownOVA)}
	for _, path := range paths {
		file, err := os.Open(path)
		if err == nil {
			return path, file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, cdp.Errorf(cdp.Invalid, op, path, "%w", err)
		}
	}
	return "", nil, cdp.Errorf(cdp.NotFound, op, paths[0], "there is no such file, nor %s", paths[1]).
		WithHint("build it with: make ova; or name another OVA with --ova")
}

// Script implements vcenter.Files.
func (f vcenterFiles) Script(path string) (string, error) {
	real, err := f.scripts.Resolve(path)
	if err == nil {
		err = checkProgram(real)
	}
	return real, err
}
