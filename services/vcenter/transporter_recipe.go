package vcenter

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// recipe is what a transporter was deployed from. It is stored with the VM, to know
// whether an existing VM is what a request asks for. Settings may be secrets, so it
// has only salted hashes of them.
type recipe struct {
	OVA       string            `json:"ova"` // its SHA-256
	Host      string            `json:"host"`
	Datastore string            `json:"datastore"`
	Network   string            `json:"network"`
	Folder    string            `json:"folder,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"` // hashes
}

// readOVA finds the OVA, and what the deployment is made from. Invalid: it may not be
// used, or cannot be read.
func (d *deployment) readOVA(ctx context.Context) error {
	const op = "read the OVA"
	real, f, err := d.local.OVA(d.r.OVA)
	if err != nil {
		return cdp.Wrap(err, op, "")
	}
	defer f.Close() // it was only read
	d.r.OVA = real
	h := sha256.New()
	for {
		if _, err = io.CopyN(h, f, 16<<20); err != nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return cdp.Errorf(cdp.Transient, op, real, "%w", ctx.Err())
	case err != io.EOF:
		return cdp.Errorf(cdp.Invalid, op, real, "%w", err)
	}
	d.recipe, err = d.recipeOf(ctx, d.r, hex.EncodeToString(h.Sum(nil)))
	return err
}

// recipeOf is what is deployed from an OVA with that sum.
func (t *transporters) recipeOf(ctx context.Context, r api.DeployRequest, sum string) (recipe, error) {
	key, err := load[string](ctx, t.records, keyRecipes)
	if err == nil && !key.exists() {
		key.Value = rand.Text()
		err = key.save(ctx)
	}
	c := recipe{OVA: sum, Host: r.Host, Datastore: r.Datastore, Network: r.Network, Folder: r.Folder, Settings: map[string]string{}}
	for k, v := range r.Settings {
		h := hmac.New(sha256.New, []byte(key.Value))
		_, _ = fmt.Fprintf(h, "%q %q %q", r.Name, k, v) // a hash never fails
		c.Settings[k] = hex.EncodeToString(h.Sum(nil)[:12])
	}
	return c, err
}

// mark is the recipe in the form that the VM stores.
func (c recipe) mark() string {
	raw, _ := json.Marshal(c) // it is plain values
	return string(raw)
}

// differs names the parts of a recipe that the VM was not deployed from.
func differs(v inventory.VM, now recipe) []string {
	var was recipe
	if err := json.Unmarshal([]byte(v.Mark(inventory.MarkRecipe)), &was); err != nil {
		return []string{"what it was deployed from, which is not known any more"}
	}
	var out []string
	if was.OVA != now.OVA {
		out = append(out, "the OVA")
	}
	for _, x := range []struct{ what, was, now string }{
		{"host", was.Host, now.Host}, {"datastore", was.Datastore, now.Datastore}, {"network", was.Network, now.Network}, {"folder", was.Folder, now.Folder},
	} {
		switch {
		case x.was == x.now:
		case x.was == "":
			out = append(out, fmt.Sprintf("the %s (none was given)", x.what))
		default:
			out = append(out, fmt.Sprintf("the %s (%s)", x.what, x.was))
		}
	}
	both := maps.Clone(now.Settings)
	maps.Copy(both, was.Settings)
	for _, k := range slices.Sorted(maps.Keys(both)) {
		if was.Settings[k] != now.Settings[k] { // a hash is never empty
			out = append(out, "the setting "+k)
		}
	}
	return out
}
