package vcenter

import (
	"context"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// guestScripts runs scripts in guests of the site, for plans. The password of the login is
// known to this machine alone.
type guestScripts struct {
	connect func(context.Context) (scriptedVMs, error)
	cache   *inventoryCache
	lanes   *lanes
	logins  Guests
}

// scriptedVMs is what guestScripts needs of a vCenter.
type scriptedVMs interface {
	VMReader
	GuestRunner
}

// run handles api.VMGuestScript.
func (g *guestScripts) run(ctx context.Context, r api.GuestScriptRequest) (any, error) {
	const op = "run script in guest"
	var reply api.GuestScriptReply
	if r.ID == "" || (r.Text == "") != r.Forget || strings.ContainsAny(strings.Join(r.Env, ""), "\r\n") {
		return nil, cdp.Errorf(cdp.Invalid, op, r.VM, "it needs an id and a text, or an id and forget, and values of the environment have no line breaks")
	}
	found, err := g.cache.find(ctx, r.VM)
	if err != nil {
		return nil, cdp.Wrap(err, op, r.VM)
	}
	user, password, err := g.logins.Login(r.Login)
	if err != nil {
		return nil, err
	}
	if r.Forget {
		reply.Progress.Done = true
		return reply, cdp.Wrap(g.forget(ctx, found.UUID, inventory.GuestScript{ID: r.ID, User: user, Password: password}), op, r.VM)
	}
	got, so, err := inLane(ctx, g.lanes, "guest/"+found.UUID, r.ID, func(ctx context.Context, tell progress) (inventory.GuestResult, error) {
		vc, err := g.connect(ctx)
		if err != nil {
			return inventory.GuestResult{}, err
		}
		v, err := vc.VM(ctx, found.UUID)
		if err != nil {
			return inventory.GuestResult{}, err
		}
		tell("a script runs in the guest of "+v.Name, 0, 0)
		return vc.RunInGuest(ctx, v.Ref, inventory.GuestScript{ID: r.ID, User: user, Password: password, Windows: v.Windows(), Text: r.Text, Env: r.Env})
	})
	reply.Progress, reply.Exit, reply.Output = so, got.Exit, strings.ToValidUTF8(got.Output, "?")
	return reply, cdp.Wrap(err, op, r.VM)
}

// forget removes what a script left in a guest.
func (g *guestScripts) forget(ctx context.Context, uuid string, s inventory.GuestScript) error {
	vc, err := g.connect(ctx)
	if err != nil {
		return err
	}
	v, err := vc.VM(ctx, uuid)
	if err != nil {
		return err
	}
	s.Windows = v.Windows()
	return vc.ForgetGuestRun(ctx, v.Ref, s)
}
