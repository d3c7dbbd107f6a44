package node

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/vsphere"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// kindVSphere is a Site whose disks are VMs'.
const kindVSphere = "vsphere"

// vcenterDial connects to the vCenter of the site. The login file, in the site's own
// directory, says where the password may be sent and how the vCenter is known there. The
// spec, which is on the bus, only chooses among those files by name.
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
	seen int64 // when the login file was last changed
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

// vcenter is the connection; it is made anew when the spec or the login file has
// changed.
func (d *vcenterDial) vcenter(ctx context.Context) (vcenter.VCenter, error) {
	v, err := d.spec(ctx)
	if err != nil {
		return nil, err
	}
	who, changed, err := loadLogin(d.e.path(loginDir), v.Credentials)
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
