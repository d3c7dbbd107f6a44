package node

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/adapter/vsphere"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// kindVSphere is a Site whose disks are VMs'.
const kindVSphere = "vsphere"

// vcenterDial connects to the vCenter of the site. The file with the password says
// where that may be sent, and how the vCenter is known there; the spec, which is on the
// bus, names the file and can change neither.
type vcenterDial struct {
	e     *env
	sites specs[spec.Site]

	mu      sync.Mutex
	to      dialled // that c is connected to
	c       *vsphere.Client
	bad     dialled   // what was refused last,
	refused error     // with this,
	until   time.Time // and is not tried again before this
}

// dialled is what a connection is made of.
type dialled struct {
	spec.VSphere
	seen int64 // when the credentials' file was last changed
}

// refusedFor is for how long a log-in that was refused is not tried again with the
// same name and password: a vCenter locks an account after five in three minutes.
const refusedFor = time.Minute

func (d *vcenterDial) spec(ctx context.Context) (spec.VSphere, error) {
	s, err := d.sites.get(ctx, string(d.e.site), described)
	if cdp.Is(err, cdp.NotFound) || err == nil && (s.Kind != kindVSphere || s.VSphere == nil) {
		return spec.VSphere{}, cdp.Errorf(cdp.NotFound, "find vCenter", string(d.e.site), "the site has none").
			WithHint("apply a Site " + string(d.e.site) + " of kind vsphere: tidemark apply -f site.yaml")
	}
	if err != nil {
		return spec.VSphere{}, err
	}
	return *s.VSphere, nil
}

func (d *vcenterDial) site(ctx context.Context) (vcenter.Site, error) {
	v, err := d.spec(ctx)
	return vcenter.Site{Name: d.e.site, Transporter: v.Transporter, Devices: v.Devices, Instance: v.Instance}, err
}

// vcenter is the connection; it is made anew when the spec or the credentials
// have changed.
func (d *vcenterDial) vcenter(ctx context.Context) (vcenter.VCenter, error) {
	v, err := d.spec(ctx)
	if err != nil {
		return nil, err
	}
	who, changed, err := loadLogin(v.Credentials)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := who.fits(v); err != nil {
		d.drop()
		return nil, err
	}
	to := dialled{v, changed.UnixNano()}
	switch {
	case d.c != nil && d.to == to:
		return d.c, nil
	case d.bad == to && d.e.clock.Now().Before(d.until):
		return nil, d.refused
	}
	c, err := vsphere.Dial(ctx, vsphere.Config{URL: who.URL, Thumbprint: who.Thumbprint, CAFile: who.CA, User: who.Username, Password: who.Password, Agent: "tidemark", Trace: vcenterCalls(d.e.tel)})
	if cdp.Is(err, cdp.Invalid) {
		d.bad, d.refused, d.until = to, err, d.e.clock.Now().Add(refusedFor)
	}
	if err != nil {
		return nil, err
	}
	d.drop()
	d.c, d.to = c, to
	return c, nil
}

func (d *vcenterDial) drop() {
	if d.c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = d.c.Close(ctx) // the session ends by itself, too
	d.c = nil
}

func (d *vcenterDial) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop()
}

// login is the content of a credentials file: who logs in where.
type login struct {
	URL string `json:"url"`
	// Thumbprint of the vCenter's certificate, or CA a file with certificates that it is
	// checked against; without either the system's are used.
	Thumbprint string `json:"thumbprint"`
	CA         string `json:"ca"`
	Username   string `json:"username"`
	Password   string `json:"password"`
}

// fits refuses a spec that says something else than the file, for it was changed by
// somebody who may not, or the file is not the site's.
func (l login) fits(v spec.VSphere) error {
	bare := func(s string) string {
		return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s, "/"), "/sdk"), "/"))
	}
	for _, x := range []struct{ field, spec, file string }{
		{"url", bare(v.URL), bare(l.URL)}, {"thumbprint", strings.ToLower(v.Thumbprint), strings.ToLower(l.Thumbprint)}, {"ca", v.CA, l.CA},
	} {
		if x.spec != "" && x.spec != x.file {
			return cdp.Errorf(cdp.Invalid, "connect to vCenter", v.Credentials, "the site's spec has the %s %q, and the credentials file, which decides, has %q: the password is sent to neither", x.field, x.spec, x.file).
				WithHint("if the spec is right, change the file on the machine of the vcenter service; else apply the site again without " + x.field)
		}
	}
	return nil
}

// loadLogin reads a credentials file, which nobody else may read.
func loadLogin(path string) (l login, changed time.Time, err error) {
	const op = "read credentials"
	data, changed, err := secretFile(op, path, "write url:, thumbprint: or ca:, username: and password: into it, mode 0600")
	if err != nil {
		return l, changed, err
	}
	if yaml.UnmarshalStrict(data, &l) != nil || l.Username == "" || l.Password == "" {
		// The reader's own words may have the password in them.
		return login{}, changed, cdp.Errorf(cdp.Invalid, op, path, "it does not have the lines url:, username: and password:, and thumbprint: or ca: if need be")
	}
	if l.URL == "" {
		return login{}, changed, cdp.Errorf(cdp.Invalid, op, path, "it does not say which vCenter the password is for").
			WithHint("add the line url: https://vc.example.com to it, and thumbprint: or ca: if the system's authorities do not know its certificate")
	}
	return l, changed, nil
}

// secretFile reads a file with a password, which nobody else may read, and says when it
// was last changed.
func secretFile(op, path, hint string) (data []byte, changed time.Time, err error) {
	st, err := os.Stat(path)
	if err != nil {
		e := &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
		return nil, changed, e.WithHint(hint)
	}
	if !st.Mode().IsRegular() {
		return nil, changed, cdp.Errorf(cdp.Invalid, op, path, "it is not a regular file")
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, changed, cdp.Errorf(cdp.Invalid, op, path, "others may read it (mode %04o)", st.Mode().Perm()).WithHint("chmod 600 " + path)
	}
	data, err = os.ReadFile(path)
	if err != nil {
		return nil, changed, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	return data, st.ModTime(), nil
}
