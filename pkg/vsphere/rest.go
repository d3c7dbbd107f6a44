package vsphere

import (
	"context"
	"net/url"
	"sync"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
)

// restSession is the session of the vCenter's REST API, which has its own. It
// is begun when it is first needed.
type restSession struct {
	mu sync.Mutex
	c  *rest.Client
}

// with runs fn with a session, and once more with a new one if it fails.
func (s *restSession) with(ctx context.Context, v *vim25.Client, cfg Config, fn func(*rest.Client) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		if fn(s.c) == nil {
			return nil
		}
		s.c = nil
	}
	c := rest.NewClient(v)
	c.UserAgent = cfg.Agent
	if err := c.Login(ctx, url.UserPassword(cfg.User, cfg.Password)); err != nil {
		return err
	}
	s.c = c
	return fn(c)
}

func (s *restSession) close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		_ = s.c.Logout(ctx) // it expires by itself
		s.c = nil
	}
}
