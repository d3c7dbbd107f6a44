package node

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
)

// Two processes run a site each over one directory: both are in the context,
// and neither can be started twice.
func TestEachSiteOnItsOwn(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig()
	for _, x := range []struct {
		site cdp.Site
		url  string
	}{{"prod", "nats://a:1"}, {"dr", "nats://b:2"}} {
		if _, err := mergeContext(dir, cfg, map[cdp.Site]client.SiteRef{x.site: {URL: x.url}}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.LoadContext(dir)
	if err != nil || c.Sites["prod"].URL != "nats://a:1" || c.Sites["dr"].URL != "nats://b:2" {
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
	a, err := loadLinkKey(dir, cfg, "dr")
	if err != nil || a.Seed != "" || a.Key == "" {
		t.Fatal("the target's part of the link's key:", err)
	}
	b, err := loadLinkKey(dir, cfg, "prod")
	if err != nil || b.Seed == "" {
		t.Fatal("the source's part of the link's key:", err)
	}
	if again, err := loadLinkKey(dir, cfg, "dr"); err != nil || again != a {
		t.Fatal("the sites do not share the link's key:", err)
	}
}
