package vsphere

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
)

// put writes a file of the run. Files go through the VM's host, not through the vCenter.
func (g *guestRun) put(ctx context.Context, name, text string) error {
	var attr types.BaseGuestFileAttributes = &types.GuestPosixFileAttributes{Permissions: 0o600}
	if g.s.Windows {
		attr = &types.GuestWindowsFileAttributes{}
	}
	return g.c.do(ctx, opGuest, g.vm.String(), func(ctx context.Context, _ *vim25.Client) error {
		to, err := g.files.InitiateFileTransferToGuest(ctx, g.auth, g.path(name), attr, int64(len(text)), true)
		if err != nil {
			return err
		}
		_, err = g.transfer(ctx, http.MethodPut, to, text)
		return err
	})
}

// mostRead is how much of a file is read, and mostOutput how much of its end is kept.
const (
	mostRead   = 1 << 20
	mostOutput = 16 << 10
)

// get is the end of a file of the run.
func (g *guestRun) get(ctx context.Context, name string) (string, error) {
	text := ""
	err := g.c.do(ctx, opGuest, g.vm.String(), func(ctx context.Context, _ *vim25.Client) error {
		from, err := g.files.InitiateFileTransferFromGuest(ctx, g.auth, g.path(name))
		if err != nil {
			return err
		}
		text, err = g.transfer(ctx, http.MethodGet, from.Url, "")
		return err
	})
	return text[max(0, len(text)-mostOutput):], err
}

func (g *guestRun) path(name string) string { return g.dir + g.shape.separator + name }

// transfer sends or receives a file at an address that the vCenter named. The adapter
// trusts a host there by the thumbprint that the vCenter reports of it.
func (g *guestRun) transfer(ctx context.Context, method, at, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, g.c.cfg.Timeout)
	defer cancel()
	u, err := g.files.TransferURL(ctx, at)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	text := ""
	err = g.c.v.Client.Do(ctx, req, func(res *http.Response) error {
		if res.StatusCode/100 != 2 {
			return errors.New(res.Status)
		}
		b, err := io.ReadAll(io.LimitReader(res.Body, mostRead))
		text = string(b)
		return err
	})
	if err == nil {
		return text, nil
	}
	if ours, ok := errors.AsType[*cdp.Error](err); ok {
		return "", ours
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // the URL has a token in it
	}
	return "", cdp.Errorf(cdp.Transient, opGuest, g.vm.String(), "a file of the guest could not be transferred through %s: %w", u.Host, err).
		WithHint("the VM's host must be reachable from here (TCP 443)")
}
