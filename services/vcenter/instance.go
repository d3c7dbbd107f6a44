package vcenter

import (
	"context"
	"errors"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// keyInstance is the record of the site's vCenter: the first that answered, or
// the one that the Site named since.
const keyInstance = "instance"

type instance struct {
	UUID string `json:"uuid"`
	Name string `json:"name"` // and version, for people
}

// known is the connection that was found to be to the site's vCenter.
type known struct {
	mu   sync.Mutex
	vc   VCenter
	uuid string
}

const opRecognise = "recognise vCenter"

// recognise refuses a vCenter that is not the site's: at another one all VMs
// would seem to be deleted, and others' might be taken for ours.
func (s *Service) recognise(ctx context.Context, vc VCenter) error {
	about, err := vc.About(ctx)
	if err != nil {
		return err
	}
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	if about.UUID == "" || s.known.vc == vc && s.known.uuid == about.UUID {
		return nil
	}
	site, err := s.deps.Site(ctx)
	if err != nil {
		return err
	}
	rec, err := load[instance](ctx, s, keyInstance)
	if err != nil {
		return err
	}
	wants := rec.Value
	if site.Instance != "" && site.Instance != wants.UUID {
		wants = instance{UUID: site.Instance}
	}
	if wants.UUID != "" && wants.UUID != about.UUID {
		return cdp.Errorf(cdp.Invalid, opRecognise, string(site.Name), "the address leads to %s, and the site's vCenter is %s: nothing is done there",
			naming(about.UUID, title(about)), naming(wants.UUID, wants.Name)).
			WithHint("correct spec.vsphere.url of the Site; or, if the site has that vCenter from now on, write spec.vsphere.instance: " + about.UUID +
				" (VMs of jobs that are not there count as deleted then)")
	}
	if rec.Value.UUID != about.UUID {
		rec.Value = instance{UUID: about.UUID, Name: title(about)}
		if err := rec.save(ctx, s); err != nil {
			return err
		}
	}
	s.known.vc, s.known.uuid = vc, about.UUID
	return nil
}

func title(a inventory.About) string { return a.Name + " " + a.Version }

func naming(uuid, name string) string {
	if name == "" {
		return uuid
	}
	return uuid + " (" + name + ")"
}

// isOther says whether an error is that another vCenter answers.
func isOther(err error) bool {
	var e *cdp.Error
	return errors.As(err, &e) && e.Op == opRecognise && cdp.Is(err, cdp.Invalid)
}
