package vsphere

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/engine/keylock"
)

// Config says which vCenter or ESXi host, whom to trust and who asks.
type Config struct {
	// URL is https://vcenter.example.com/sdk; scheme and path may be left out. A
	// user in it is ignored.
	URL string
	// Thumbprint is the SHA-256 or SHA-1 of the certificate it must have, in hex
	// with or without colons; CAFile the PEM file of who must have signed it.
	// With neither, the system's authorities decide; with both, both must hold.
	Thumbprint, CAFile string
	User, Password     string
	// Timeout ends one call that has no answer; 60 s if 0. Tasks may take longer.
	Timeout time.Duration
	// Agent is what the vCenter's list of sessions shows.
	Agent string
}

// Client is a session at one vCenter or ESXi host. It is safe for use by many
// at once. A session that expired is begun again by the call that notices.
type Client struct {
	cfg   Config
	v     *vim25.Client
	about inventory.About
	locks keylock.Locks[types.ManagedObjectReference]

	mu      sync.Mutex // held while logging in
	logins  uint64     // how often it was logged in
	refused error      // the last log-in was refused for its name or password,
	until   time.Time  // and is not tried again before this
	rest    restSession
}

// refusedFor keeps a wrong password from being tried so often that the account
// is locked: a vCenter locks after five times in three minutes.
const refusedFor = time.Minute

// Dial logs in. Invalid: the URL, the certificate, or the name and password are
// wrong. Transient: it cannot be reached now.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.Agent == "" {
		cfg.Agent = "tidemark"
	}
	const op = "connect to vCenter"
	u, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	sc := soap.NewClient(u, false)
	sc.UserAgent = cfg.Agent
	t, err := newTrust(cfg, sc)
	if err != nil {
		return nil, err
	}
	transport := sc.DefaultTransport()
	// Straight to it: a proxy would end the connection that the thumbprint is of.
	transport.Proxy = nil
	transport.DialTLSContext = t.dial
	c := &Client{cfg: cfg}
	caller := &caller{next: sc, timeout: cfg.Timeout}
	if err := useVersion(ctx, sc, cfg.Timeout); err != nil {
		transport.CloseIdleConnections()
		return nil, c.fail(ctx, op, u.Host, err)
	}
	v, err := vim25.NewClient(ctx, caller)
	if err != nil {
		transport.CloseIdleConnections()
		return nil, c.fail(ctx, op, u.Host, err)
	}
	v.Client = sc
	c.v = v
	a := v.ServiceContent.About
	c.about = inventory.About{Name: a.Name, Version: a.Version, Build: a.Build, UUID: strings.ToLower(a.InstanceUuid), ESX: !v.IsVC()}
	if err := c.login(ctx, 0); err != nil {
		transport.CloseIdleConnections()
		return nil, err
	}
	if c.about.ESX {
		if c.about.UUID, err = c.hostUUID(ctx); err != nil {
			_ = c.Close(ctx)
			return nil, err
		}
	}
	return c, nil
}

// hostUUID is that of an ESXi host, whose API's instance has none; empty if it
// does not tell.
func (c *Client) hostUUID(ctx context.Context) (string, error) {
	var out string
	err := c.do(ctx, "read the host's UUID", c.host(), func(ctx context.Context, v *vim25.Client) error {
		objs, err := c.throughView(ctx, v, v.ServiceContent.RootFolder, []types.PropertySpec{{Type: "HostSystem", PathSet: []string{"name", "hardware.systemInfo.uuid"}}})
		if err != nil {
			return err
		}
		g, err := gatherAll(objs)
		if err != nil {
			return err
		}
		for _, h := range g.hosts {
			if h.Hardware != nil {
				out = strings.ToLower(h.Hardware.SystemInfo.Uuid)
			}
		}
		return nil
	})
	return out, err
}

// Close logs out. A session that is gone already is no error. No call may be
// under way.
func (c *Client) Close(ctx context.Context) error {
	defer c.v.CloseIdleConnections()
	c.rest.close(ctx)
	err := session.NewManager(c.v).Logout(ctx)
	if fault.Is(err, &types.NotAuthenticated{}) {
		err = nil
	}
	return c.fail(ctx, "log out", c.host(), err)
}

// About tells what was learned when it was dialled.
func (c *Client) About(context.Context) (inventory.About, error) { return c.about, nil }

func (c *Client) host() string { return c.v.URL().Host }

// do runs fn with a live session: when the session turns out to have expired it
// logs in again and runs fn once more, so fn must bear being run twice. What fn
// returns is put in our words.
func (c *Client) do(ctx context.Context, op, subject string, fn func(ctx context.Context, v *vim25.Client) error) error {
	at := c.session()
	err := fn(ctx, c.v)
	if expired(err) {
		if err := c.login(ctx, at); err != nil {
			return err
		}
		err = fn(ctx, c.v)
	}
	return c.fail(ctx, op, subject, err)
}

func (c *Client) session() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logins
}

// login begins a session, unless somebody did since there had been seen ones.
func (c *Client) login(ctx context.Context, seen uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.logins > seen {
		return nil
	}
	if c.refused != nil && time.Now().Before(c.until) {
		return c.refused
	}
	err := session.NewManager(c.v).Login(ctx, url.UserPassword(c.cfg.User, c.cfg.Password))
	if err != nil {
		err = c.fail(ctx, "log in to vCenter", c.host(), err)
		if cdp.Is(err, cdp.Invalid) {
			c.refused, c.until = err, time.Now().Add(refusedFor)
		}
		return err
	}
	c.refused = nil
	if err := c.same(ctx); err != nil {
		return err
	}
	c.logins++
	return nil
}

// same refuses a server that has another instance UUID than the one that was
// dialled: another vCenter has its address by now. What it was asked would be
// asked of the wrong one.
func (c *Client) same(ctx context.Context) error {
	if c.logins == 0 || c.about.ESX {
		return nil
	}
	now, err := methods.GetServiceContent(ctx, c.v)
	if err != nil {
		return c.fail(ctx, "log in to vCenter", c.host(), err)
	}
	if is := strings.ToLower(now.About.InstanceUuid); is != c.about.UUID {
		return cdp.Errorf(cdp.Invalid, "log in to vCenter", c.host(), "it is another vCenter (%s) than before (%s)", is, c.about.UUID)
	}
	return nil
}

func expired(err error) bool {
	return err != nil && fault.Is(err, &types.NotAuthenticated{})
}

func parseURL(s string) (*url.URL, error) {
	const op = "read the vCenter's URL"
	u, err := soap.ParseURL(s)
	if err != nil || u == nil || u.Hostname() == "" {
		// Not the text itself: a URL that does not parse may hold a password.
		return nil, cdp.Errorf(cdp.Invalid, op, "", "it is not a URL").WithHint("write it as https://vcenter.example.com")
	}
	u.User = nil
	if !strings.EqualFold(u.Scheme, "https") {
		return nil, cdp.Errorf(cdp.Invalid, op, u.String(), "it must begin with https://, or the password would be sent in the clear")
	}
	return u, nil
}

// unreached is how long a call that is repeated goes on when the vCenter does
// not answer at all.
const unreached = 15 * time.Minute

// cleanUp is how long it is tried to leave nothing behind after ctx ended.
const cleanUp = 20 * time.Second

// caller gives each call its end.
type caller struct {
	next    soap.RoundTripper
	timeout time.Duration
}

// RoundTrip is soap.RoundTripper's. A wait for updates is given its own time on
// top.
func (c *caller) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+waits(req))
	defer cancel()
	return c.next.RoundTrip(ctx, req, res)
}
