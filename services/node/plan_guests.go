package node

import (
	"context"
	"os"
	"strings"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/orchestrator"
)

// planGuests is orchestrator.Guests: scripts of this machine, run by the vcenter service.
type planGuests struct {
	outside
	conn *bus.Conn
}

// maxGuestScript is how long a script may be, in bytes: it is sent in one message.
const maxGuestScript = 64 << 10

func (g planGuests) Run(ctx context.Context, r orchestrator.GuestRun) (string, error) {
	const op = "run script in guest"
	path, err := g.program(r.File)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	if len(text) == 0 || len(text) > maxGuestScript {
		return "", cdp.Errorf(cdp.Invalid, op, path, "it has %d bytes: a script for a guest has 1 to %d", len(text), maxGuestScript)
	}
	for {
		var reply api.GuestScriptReply
		err := g.conn.Request(ctx, g.conn.Site(), subjects.VCenter, api.VMGuestScript, api.GuestScriptRequest{VM: r.VM, ID: r.ID, Login: r.Login, Text: string(text), Env: r.Env}, &reply)
		if err != nil {
			return "", err
		}
		if !reply.Done {
			continue
		}
		out := ending(reply.Output)
		if reply.Exit != 0 {
			return "", cdp.Errorf(cdp.Conflict, op, r.File, "exit code %d: %s", reply.Exit, out)
		}
		return out, nil
	}
}

func (g planGuests) Forget(ctx context.Context, r orchestrator.GuestRun) error {
	return g.conn.Request(ctx, g.conn.Site(), subjects.VCenter, api.VMGuestScript, api.GuestScriptRequest{VM: r.VM, ID: r.ID, Login: r.Login, Forget: true}, nil)
}

// ending is the end of what a program wrote.
func ending(text string) string {
	if len(text) > outputKept {
		text = "... " + text[len(text)-outputKept:]
	}
	return strings.ToValidUTF8(strings.TrimSpace(text), "?")
}

var _ orchestrator.Guests = planGuests{}
