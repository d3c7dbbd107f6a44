package node

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
)

// Two processes run a site each over one directory: both are in the context,
// neither can be started twice, and a site that is dialled takes the other's key
// from its configuration.
func TestEachSiteOnItsOwn(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Dir = dir
	for _, x := range []struct {
		site cdp.Site
		url  string
	}{{"prod", "nats://a:1"}, {"dr", "nats://b:2"}} {
		if _, err := mergeContext(dir, cfg, map[cdp.Site]client.SiteRef{x.site: {URL: x.url}}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.LoadContext(dir)
	if err != nil || c.Default != "dr" || c.Sites["prod"].URL != "nats://a:1" || c.Sites["dr"].URL != "nats://b:2" {
		t.Fatalf("%+v, %v", c, err)
	}
	unlock, err := lockDir(dir + "/dr")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := lockDir(dir + "/dr"); !cdp.Is(err, cdp.Conflict) {
		t.Error("a site's directory was taken twice:", err)
	}
	other, err := lockDir(dir + "/prod")
	if err != nil {
		t.Fatal("the other site's:", err)
	}
	other()
	if _, err := cfg.links(dir, "dr", nowhere); !cdp.Is(err, cdp.Invalid) {
		t.Error("a link without a key:", err)
	}
	keys, err := LinkKeys(cfg, []cdp.Site{"prod"})
	if err != nil || len(keys) != 1 || keys[0].Key == "" {
		t.Fatalf("%+v, %v", keys, err)
	}
	dials, err := cfg.links(dir, "prod", nowhere)
	if err != nil || dials[0].Seed == "" || dials[0].Dial != defaultLeaf {
		t.Fatalf("%+v, %v", dials, err)
	}
	cfg.Links = keys
	dialled, err := cfg.links(dir, "dr", nowhere)
	if err != nil || dialled[0].Key != keys[0].Key || dialled[0].Seed != "" {
		t.Fatalf("%+v, %v", dialled, err)
	}
}

func nowhere(cdp.Site) string { return "" }
