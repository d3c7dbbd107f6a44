package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/trigger"
	"tidemark.dev/services/orchestrator"
)

// planTriggers is orchestrator.Triggers.
type planTriggers struct{ b *bus.Bucket[trigger.State] }

func (p planTriggers) Get(ctx context.Context, plan, name string) (trigger.State, uint64, error) {
	x, err := p.b.Get(ctx, plan+"."+name)
	return x.Value, x.Revision, err
}

func (p planTriggers) Put(ctx context.Context, s trigger.State, revision uint64) error {
	_, err := put(ctx, p.b, s.Plan+"."+s.Trigger, s, revision)
	return err
}

func (p planTriggers) Forget(ctx context.Context, plan string) error {
	keys, err := p.b.Keys(ctx)
	for _, k := range keys {
		if err == nil && strings.HasPrefix(k, plan+".") {
			err = p.b.Delete(ctx, k, 0)
		}
	}
	return err
}

// planWitnesses is orchestrator.Witnesses.
type planWitnesses struct {
	b *bus.Bucket[api.WitnessReport]
}

// witnessed is the name of a witness's report about a site: a key in base64 has
// letters that the name of a value cannot have.
func witnessed(key string, site cdp.Site) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16]) + "." + string(site)
}

func (p planWitnesses) Get(ctx context.Context, key string, site cdp.Site) (api.WitnessReport, error) {
	x, err := p.b.Get(ctx, witnessed(key, site))
	return x.Value, err
}

func (p planWitnesses) Put(ctx context.Context, r api.WitnessReport) error {
	_, err := p.b.Put(ctx, witnessed(r.Key, r.Site), r)
	return err
}

var (
	_ orchestrator.Triggers  = planTriggers{}
	_ orchestrator.Witnesses = planWitnesses{}
)
