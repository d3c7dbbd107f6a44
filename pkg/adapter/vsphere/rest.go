package vsphere

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/vmware/govmomi/vapi/rest"
)

// restSession is the session of the vCenter's REST API, begun at first need. It
// does one call at a time: there are few.
type restSession struct {
	mu sync.Mutex
	c  *rest.Client
	// Cached names of tags, and when they were read.
	names, categories map[string]string
	named             time.Time
}

// with runs fn with a session, and once more with a new one if it has expired.
func (s *restSession) with(ctx context.Context, c *Client, fn func(ctx context.Context, rc *rest.Client) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		err := s.run(ctx, c, fn)
		if !rest.IsStatusError(err, http.StatusUnauthorized) && !rest.IsStatusError(err, http.StatusForbidden) {
			return err
		}
	}
	rc := rest.NewClient(c.v)
	rc.UserAgent = c.cfg.Agent
	login, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := rc.Login(login, url.UserPassword(c.cfg.User, c.cfg.Password)); err != nil {
		return err
	}
	s.c = rc
	return s.run(ctx, c, fn)
}

func (s *restSession) run(ctx context.Context, c *Client, fn func(ctx context.Context, rc *rest.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return fn(ctx, s.c)
}

func (s *restSession) close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		_ = s.c.Logout(ctx) // it expires by itself
		s.c = nil
	}
}
