package vsphere

import (
	"context"
	"net/url"
	"reflect"
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

// Config is the server, how to verify its certificate, and the user.
type Config struct {
	// URL is https://vcenter.example.com/sdk. Scheme and path may be left out; a
	// user in it is ignored.
	URL string
	// Thumbprint is the SHA-256 or SHA-1 of the server's certificate in hex, with
	// or without colons. CAFile is a PEM file with the CA that must have signed it.
	// With neither, the system's authorities are used; with both, both must match.
	Thumbprint, CAFile string
	User, Password     string
	// Timeout limits a call without an answer; 60 s if 0. Tasks may take longer.
	Timeout time.Duration
	// Agent is shown in the vCenter's list of sessions.
	Agent string
	// Trace is called for each call that changes something, with its name in the vSphere
	// API, such as CloneVM_Task; end is called with its outcome. Nil: calls are not traced.
	Trace func(ctx context.Context, call string) (_ context.Context, end func(error))
}

// Client is a session at one vCenter or ESXi host. All methods may be called
// concurrently. A call that finds the session expired logs in again.
type Client struct {
	cfg      Config
	v        *vim25.Client
	about    inventory.About
	locks    keylock.Locks[types.ManagedObjectReference]
	refs     knownRefs
	known    knownConfigs
	views    views
	versions newestVersions
	swaps    swaps
	taken    takenSnapshots
	took     callTimes

	mu      sync.Mutex // held while logging in
	logins  uint64     // how often it was logged in
	refused error      // the last log-in was refused for its name or password,
	until   time.Time  // and is not tried again before this
	rest    restSession
}

// refusedFor is how long a refused password is not tried again: a vCenter locks an
// account after five failures in three minutes.
const refusedFor = time.Minute

// Dial logs in. Invalid: the URL, the certificate, or the name and password are
// wrong. Transient: the server cannot be reached now.
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
	// No proxy: it would end the TLS connection that the thumbprint belongs to.
	transport.Proxy = nil
	transport.DialTLSContext = t.dial
	// Each VM is worked on at the same time as others: two, the default, would make most
	// calls begin with a handshake.
	transport.MaxIdleConnsPerHost = 16
	c := &Client{cfg: cfg}
	caller := &caller{next: sc, timeout: cfg.Timeout, took: &c.took, trace: cfg.Trace}
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

// hostUUID is the UUID of an ESXi host, whose API has no instance UUID; empty if
// unknown.
func (c *Client) hostUUID(ctx context.Context) (string, error) {
	var out string
	err := c.do(ctx, "read the host's UUID", c.host(), func(ctx context.Context, v *vim25.Client) error {
		objs, err := c.throughView(ctx, v, []types.PropertySpec{{Type: "HostSystem", PathSet: []string{"name", "hardware.systemInfo.uuid"}}})
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

// Close logs out. It is no error if the session has ended. No call may be running.
func (c *Client) Close(ctx context.Context) error {
	defer c.v.CloseIdleConnections()
	c.rest.close(ctx)
	err := session.NewManager(c.v).Logout(ctx)
	if fault.Is(err, &types.NotAuthenticated{}) {
		err = nil
	}
	return c.fail(ctx, "log out", c.host(), err)
}

// About is the server's identity, as Dial read it.
func (c *Client) About(context.Context) (inventory.About, error) { return c.about, nil }

func (c *Client) host() string { return c.v.URL().Host }

// do runs fn with a live session. If the session has expired, it logs in again and
// runs fn once more, so fn must tolerate running twice. It translates fn's error.
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

// login begins a session, unless another call did since seen sessions were counted.
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

// same refuses a server with another instance UUID than at Dial: another vCenter
// has the address now, and must not get calls meant for the first.
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
		// Not the text itself: an unparsable URL may contain a password.
		return nil, cdp.Errorf(cdp.Invalid, op, "", "it is not a URL").WithHint("write it as https://vcenter.example.com")
	}
	u.User = nil
	if !strings.EqualFold(u.Scheme, "https") {
		return nil, cdp.Errorf(cdp.Invalid, op, u.String(), "it must begin with https://, or the password would be sent unencrypted")
	}
	return u, nil
}

// unreached is how long a repeated call continues while the vCenter does not answer
// at all.
const unreached = 15 * time.Minute

// cleanUp is how long clean-up may take after ctx ended.
const cleanUp = 20 * time.Second

// caller gives each call its timeout and its place in a trace.
type caller struct {
	next    soap.RoundTripper
	timeout time.Duration
	took    *callTimes
	trace   func(context.Context, string) (context.Context, func(error)) // may be nil
}

// RoundTrip implements soap.RoundTripper. A wait for updates gets its own time on
// top.
func (c *caller) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+waits(req))
	defer cancel()
	if waits(req) == 0 {
		defer c.took.note(time.Now())
	}
	if name := callName(req); c.trace != nil && !looks(name) {
		ctx, end := c.trace(ctx, name)
		err := c.next.RoundTrip(ctx, req, res)
		end(err)
		return err
	}
	return c.next.RoundTrip(ctx, req, res)
}

// callName is the name of a call in the vSphere API: its request's type without the
// "Body" that the SOAP bindings add.
func callName(req soap.HasFault) string {
	return strings.TrimSuffix(reflect.Indirect(reflect.ValueOf(req)).Type().Name(), "Body")
}

// looks reports whether a call only looks. There are hundreds to one that changes
// something.
func looks(call string) bool {
	for _, verb := range []string{"Retrieve", "Continue", "WaitFor", "Query", "Find", "Has", "CancelRetrieve", "CreateFilter", "DestroyPropertyFilter", "CreateContainerView", "DestroyView", "CreatePropertyCollector", "DestroyPropertyCollector", "CurrentTime", "Session"} {
		if strings.HasPrefix(call, verb) {
			return true
		}
	}
	return false
}
