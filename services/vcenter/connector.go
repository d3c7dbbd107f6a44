package vcenter

import (
	"context"
	"errors"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// keyInstance is the record of the site's vCenter: the first that answered, or
// the one that the Site has named since.
const keyInstance = "instance"

type instance struct {
	UUID string `json:"uuid"`
	Name string `json:"name"` // and version, for people
}

// connector gives connections to the site's own vCenter, and to no other.
type connector struct {
	dial    func(context.Context) (VCenter, error)
	site    func(context.Context) (Site, error)
	records Records
	changed func() // is called after every change over a connection

	mu sync.Mutex
	// vc is the connection that was last recognized, uuid its vCenter.
	vc   VCenter
	uuid string
}

// connect is NotFound if the site has no vCenter.
func (c *connector) connect(ctx context.Context) (connection, error) {
	vc, err := c.dial(ctx)
	if err != nil {
		return connection{}, err
	}
	if err := c.recognize(ctx, vc); err != nil {
		return connection{}, err
	}
	return connection{vc, vc, c.changed}, nil
}

const opRecognize = "recognize vCenter"

// recognize refuses a vCenter that is not the site's: at another one all VMs would
// seem to be deleted, and somebody else's VMs could be taken for ours.
func (c *connector) recognize(ctx context.Context, vc VCenter) error {
	about, err := vc.About(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if about.UUID == "" || c.vc == vc && c.uuid == about.UUID {
		return nil
	}
	site, err := c.site(ctx)
	if err != nil {
		return err
	}
	rec, err := load[instance](ctx, c.records, keyInstance)
	if err != nil {
		return err
	}
	wants := rec.Value
	if site.Instance != "" && site.Instance != wants.UUID {
		wants = instance{UUID: site.Instance}
	}
	if wants.UUID != "" && wants.UUID != about.UUID {
		return cdp.Errorf(cdp.Invalid, opRecognize, string(site.Name), "the address leads to %s, but the site's vCenter is %s: nothing is done there",
			naming(about.UUID, title(about)), naming(wants.UUID, wants.Name)).
			WithHint("correct spec.vsphere.url of the Site; or, if the site has that vCenter from now on, write spec.vsphere.instance: " + about.UUID +
				" (VMs of jobs that it does not have will count as deleted)")
	}
	if rec.Value.UUID != about.UUID {
		rec.Value = instance{UUID: about.UUID, Name: title(about)}
		if err := rec.save(ctx); err != nil {
			return err
		}
	}
	c.vc, c.uuid = vc, about.UUID
	return nil
}

func title(a inventory.About) string { return a.Name + " " + a.Version }

func naming(uuid, name string) string {
	if name == "" {
		return uuid
	}
	return uuid + " (" + name + ")"
}

// isOtherVCenter reports whether an error says that another vCenter answers.
func isOtherVCenter(err error) bool {
	var e *cdp.Error
	return errors.As(err, &e) && e.Op == opRecognize && cdp.Is(err, cdp.Invalid)
}
