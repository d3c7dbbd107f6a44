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
	"os"
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

// recipeOf reads the OVA, which is Invalid if it cannot be read.
func (t *transporters) recipeOf(ctx context.Context, r api.DeployRequest) (recipe, error) {
	sum, err := sumOf(ctx, r.OVA)
	if err != nil {
		return recipe{}, err
	}
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

func sumOf(ctx context.Context, ova string) (string, error) {
	const op = "read the OVA"
	f, err := os.Open(ova)
	if err != nil {
		return "", cdp.Errorf(cdp.Invalid, op, ova, "%w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	h := sha256.New()
	for {
		if _, err = io.CopyN(h, f, 16<<20); err != nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return "", cdp.Errorf(cdp.Transient, op, ova, "%w", ctx.Err())
	case err != io.EOF:
		return "", cdp.Errorf(cdp.Invalid, op, ova, "%w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
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
