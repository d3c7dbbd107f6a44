package vcsim

import (
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// serveFolder serves /folder, the files of a datastore over HTTP. Unlike the stock
// one, it requires a session and refuses files that a running VM has open.
func (s *Site) serveFolder(w http.ResponseWriter, r *http.Request) {
	if !s.loggedIn(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	ds := r.URL.Query().Get("dsName")
	if ds == "" {
		ds = s.Datastores()[0]
	}
	p := object.DatastorePath{Datastore: ds, Path: strings.TrimPrefix(path.Clean("/"+strings.TrimPrefix(r.URL.Path, "/folder/")), "/")}
	name := p.String()
	file, err := s.local(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	disk := name
	isFlat := strings.HasSuffix(name, "-flat.vmdk")
	if isFlat {
		disk = strings.TrimSuffix(name, "-flat.vmdk") + ".vmdk"
	}
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	if isFlat || write {
		if who, _ := s.lockedBy(types.ManagedObjectReference{}, []vmDisk{{file: disk, shared: !write}}); who != "" {
			http.Error(w, "file is locked by "+who, http.StatusInternalServerError)
			return
		}
	}
	if isFlat {
		if file, err = s.FlatPath(disk); err != nil {
			http.NotFound(w, r)
			return
		}
	}
	if write {
		s.receive(w, r, file)
		return
	}
	f, err := os.Open(file)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.IsDir() {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", st.ModTime(), f)
}

func (s *Site) receive(w http.ResponseWriter, r *http.Request, file string) {
	if _, err := os.Stat(file); err == nil && r.Method == http.MethodPost {
		w.WriteHeader(http.StatusConflict)
		return
	}
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	var f *os.File
	if err == nil {
		f, err = os.Create(file)
	}
	if err == nil {
		_, err = io.Copy(f, r.Body)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (s *Site) loggedIn(r *http.Request) bool {
	if user, pass, ok := r.BasicAuth(); ok {
		return user == s.cfg.User && pass == s.cfg.Password
	}
	c, err := r.Cookie(soap.SessionCookieName)
	return err == nil && s.sessionLives(strings.Trim(c.Value, `"`))
}
