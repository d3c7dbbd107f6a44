package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

const threeSites = `
sites:
  - {name: hub, listen: "127.0.0.1:1", leaf: "127.0.0.1:2"}
  - {name: east, listen: "127.0.0.1:3", services: [capture, vcenter]}
  - {name: west, listen: "127.0.0.1:4"}
links:
  - {from: east, to: hub, dial: "hub.example.com:7422"}
  - {from: west, to: hub}
`

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "up.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path)
}

func TestAHubAndItsSpokes(t *testing.T) {
	c, err := load(t, threeSites)
	if err != nil {
		t.Fatal(err)
	}
	if c.hub() != "hub" {
		t.Errorf("commands would talk to %s", c.hub())
	}
	if got := c.peers("hub"); len(got) != 2 || len(c.peers("east")) != 1 {
		t.Errorf("the hub is linked with %v", got)
	}
	if got := c.dialledFirst(c.Sites[1:]); got[0].Name != "east" || got[1].Name != "west" {
		t.Errorf("%+v", got)
	}
	if got := c.dialledFirst([]SiteConfig{c.Sites[2], c.Sites[0]}); got[0].Name != "hub" {
		t.Errorf("%+v", got)
	}
	if len(c.site("west").services()) != len(Services()) {
		t.Error("a site runs every service if it is not told")
	}
	if _, err := c.only([]cdp.Site{"east", "moon"}); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
}

func TestAFileThatCannotBe(t *testing.T) {
	for name, x := range map[string]struct{ text, says string }{
		"a circle":         {strings.Replace(threeSites, "links:", "links:\n  - {from: east, to: west, dial: \"a:1\"}", 1), "must form a tree"},
		"two links":        {threeSites + "  - {from: hub, to: east, dial: \"a:1\"}\n", "must form a tree"},
		"itself":           {threeSites + "  - {from: hub, to: hub}\n", "linked with itself"},
		"an unknown site":  {threeSites + "  - {from: moon, to: hub}\n", "links[2].from: there is no site"},
		"nobody waits":     {strings.Replace(threeSites, ", leaf: \"127.0.0.1:2\"", "", 1), "links[1]: hub waits for nobody"},
		"two of a name":    {strings.Replace(threeSites, "west, listen", "east, listen", 1), "two sites"},
		"no name":          {"sites: [{listen: \"a:1\"}]", "sites[0].name"},
		"no sites":         {"links: []", "at least one"},
		"a bad address":    {"sites: [{name: a, listen: here}]", "sites[0].listen"},
		"a bad service":    {"sites: [{name: a, listen: \"a:1\", services: [cook]}]", "no service \"cook\""},
		"an unknown field": {"sites: [{name: a, lisen: \"a:1\"}]", "lisen"},
		"the old form":     {"source: {name: east, listen: \"a:1\", services: [capture]}\ntarget: {name: hub}\nleaf: \"b:2\"", "roles that a job gives"},
	} {
		_, err := load(t, x.text)
		if !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
		if name != "the old form" {
			continue
		}
		_, text, _ := strings.Cut(cdp.HintOf(err), "\n")
		c, err := load(t, text)
		if err != nil || c.Sites[0].Name != "east" || c.Sites[0].Listen != "a:1" || c.Sites[0].Services[0] != "capture" || c.Sites[1].Leaf != "b:2" || c.Links[0].To != "hub" {
			t.Errorf("what is to be written instead does not load: %+v, %v\n%s", c, err, text)
		}
	}
}
