package vsphere

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/object"
	gtask "github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
)

// renewal is the interval at which a lease is renewed during an upload. An
// unrenewed lease ends after some minutes, so that a dead client leaves nothing.
const renewal = 10 * time.Second

// upload makes the VM and fills its disks.
func (c *Client) upload(ctx context.Context, o *ova, i inventory.Import, result *types.OvfCreateImportSpecResult, progress func(int)) (types.ManagedObjectReference, error) {
	var none types.ManagedObjectReference
	lease, err := c.lease(ctx, i, result.ImportSpec)
	if err != nil {
		return none, err
	}
	done := false
	var made types.ManagedObjectReference
	defer func() {
		if !done {
			c.bestEffort(ctx, func(ctx context.Context) error { return c.giveUp(ctx, lease, made) })
		}
	}()
	info, err := c.ready(ctx, i.Name, lease)
	if err != nil {
		return none, err
	}
	made = info.Entity
	total := int64(0)
	for _, item := range result.FileItem {
		total += o.files[item.Path].size
	}
	t := &transfer{total: max(total, 1), progress: progress, last: -1}
	t.tell()
	err = c.renewed(ctx, i.Name, lease, t, func(ctx context.Context) error {
		for _, item := range result.FileItem {
			if err := c.uploadFile(ctx, o, i.Name, info, item, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	if err := c.do(ctx, opImport, i.Name, func(ctx context.Context, _ *vim25.Client) error { return lease.Complete(ctx) }); err != nil {
		return none, err
	}
	done = true
	t.finish()
	return info.Entity, nil
}

// giveUp ends a lease and thereby removes the VM, which would otherwise keep the
// name.
func (c *Client) giveUp(ctx context.Context, lease *nfc.Lease, made types.ManagedObjectReference) error {
	err := lease.Abort(ctx, nil)
	if made.Value != "" {
		_ = c.Destroy(ctx, refOf(&made), true)
	}
	return err
}

func (c *Client) lease(ctx context.Context, i inventory.Import, spec types.BaseImportSpec) (*nfc.Lease, error) {
	pool, err := morOf(i.Pool)
	if err != nil {
		return nil, err
	}
	folder, err := morOf(i.Folder)
	if err != nil {
		return nil, err
	}
	var lease *nfc.Lease
	err = c.do(ctx, opImport, i.Name, func(ctx context.Context, v *vim25.Client) (err error) {
		var host *object.HostSystem
		if i.Host != "" {
			ref, err := morOf(i.Host)
			if err != nil {
				return err
			}
			host = object.NewHostSystem(v, ref)
		}
		lease, err = object.NewResourcePool(v, pool).ImportVApp(ctx, spec, object.NewFolder(v, folder), host)
		return err
	})
	return lease, err
}

// ready waits until files can be uploaded.
func (c *Client) ready(ctx context.Context, name string, lease *nfc.Lease) (*types.HttpNfcLeaseInfo, error) {
	for {
		var l mo.HttpNfcLease
		err := c.do(ctx, opImport, name, func(ctx context.Context, _ *vim25.Client) (err error) {
			l, err = lease.Properties(ctx, "state", "info", "error")
			return err
		})
		if err != nil {
			return nil, err
		}
		switch {
		case l.State == types.HttpNfcLeaseStateReady && l.Info != nil:
			return l.Info, nil
		case l.State == types.HttpNfcLeaseStateError && l.Error != nil:
			return nil, c.fail(ctx, opImport, name, gtask.Error{LocalizedMethodFault: l.Error})
		case l.State != types.HttpNfcLeaseStateInitializing && l.State != types.HttpNfcLeaseStateReady:
			return nil, cdp.Errorf(cdp.Transient, opImport, name, "the vCenter ended the upload (%s)", l.State)
		}
		if err := clock.Sleep(ctx, clock.System, 200*time.Millisecond); err != nil {
			return nil, c.fail(ctx, opImport, name, err)
		}
	}
}

// renewed renews the lease while fn runs. If that fails, fn is cancelled.
func (c *Client) renewed(ctx context.Context, name string, lease *nfc.Lease, t *transfer, fn func(context.Context) error) error {
	within, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for clock.Sleep(within, clock.System, renewal) == nil {
			err := lease.Progress(within, int32(t.percent()))
			if err != nil && within.Err() == nil && cdp.KindOf(c.fail(within, opImport, name, err)) != cdp.Transient {
				cancel(c.fail(within, opImport, name, err))
			}
		}
	})
	err := fn(within)
	if err != nil && ctx.Err() == nil && within.Err() != nil {
		err = context.Cause(within)
	}
	cancel(nil)
	wg.Wait()
	return c.fail(ctx, opImport, name, err)
}

func (c *Client) uploadFile(ctx context.Context, o *ova, name string, info *types.HttpNfcLeaseInfo, item types.OvfFileItem, t *transfer) error {
	at := slices.IndexFunc(info.DeviceUrl, func(d types.HttpNfcLeaseDeviceUrl) bool { return d.ImportKey == item.DeviceId })
	if at < 0 {
		return cdp.Errorf(cdp.Transient, opImport, name, "the vCenter gave no upload URL for the file %s", item.Path)
	}
	device := info.DeviceUrl[at]
	u, err := c.v.ParseURL(device.Url)
	if err != nil {
		return cdp.Errorf(cdp.Transient, opImport, name, "the vCenter gave an invalid upload URL for %s", item.Path)
	}
	if device.SslThumbprint != "" {
		// The vCenter is trusted, and vouches for its host.
		c.v.SetThumbprint(u.Host, device.SslThumbprint)
	}
	r, size, ok := o.open(item.Path)
	if !ok {
		return o.wrong("the file %s is not in it", item.Path)
	}
	body := &counter{r: r, t: t, closed: make(chan struct{})}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	if item.Create {
		// Not a disk: an ISO, the NVRAM, ...
		req.Method = http.MethodPut
		req.Header.Set("Overwrite", "t")
		req.Header.Del("Content-Type")
	}
	err = c.v.Client.Do(ctx, req, func(res *http.Response) error {
		if res.StatusCode/100 != 2 {
			return errors.New(res.Status)
		}
		return nil
	})
	// The transport may still read after its call has ended.
	<-body.closed
	if err == nil || ctx.Err() != nil {
		return err
	}
	if ours, ok := errors.AsType[*cdp.Error](err); ok {
		return ours
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return cdp.Errorf(cdp.Transient, opImport, name, "the upload of %s to %s failed: %w", item.Path, u.Host, err).
		WithHint("the host that receives the disk must be reachable from here (TCP 443)")
}

// transfer counts the bytes sent.
type transfer struct {
	sent     atomic.Int64
	total    int64
	progress func(int)
	last     int // that progress was called with
}

// percent is at most 99: 100 means that the VM exists.
func (t *transfer) percent() int { return int(min(t.sent.Load()*100/t.total, 99)) }

func (t *transfer) tell() {
	if p := t.percent(); p > t.last && t.progress != nil {
		t.last = p
		t.progress(p)
	}
}

func (t *transfer) finish() {
	if t.progress != nil {
		t.progress(100)
	}
}

// counter reports progress while it is read.
type counter struct {
	r      io.Reader
	t      *transfer
	once   sync.Once
	closed chan struct{}
}

// Close is called by the transport when it stops reading.
func (c *counter) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.t.sent.Add(int64(n))
	c.t.tell()
	return n, err
}
