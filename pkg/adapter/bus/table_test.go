package bus

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/subjects"
)

var rewrite = flag.Bool("rewrite", false, "regenerate deploy/permissions.md")

// TestTableOfPermissions holds deploy/permissions.md to what the servers are
// configured with, so that a change of who may do what is seen in a review.
func TestTableOfPermissions(t *testing.T) {
	const path = "../../../deploy/permissions.md"
	want := permissionTable()
	if *rewrite {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("deploy/permissions.md does not show the permissions as they are: go test ./pkg/adapter/bus -run TableOfPermissions -rewrite, and review the difference")
	}
}

// permissionTable is for a site HERE with one peer THERE.
func permissionTable() string {
	var b strings.Builder
	b.WriteString(`# Who may publish and read what

Generated from the permissions that a site's NATS server is configured with: do not
edit. HERE is the site, THERE a peer that it is linked with. What is not listed is
refused. Each service is a user with its own password; ` + "`setup`" + ` may do everything at
its own site, and alone makes, changes and removes streams and consumers. Answers to
requests go to the inboxes that are listed, and nowhere else.

`)
	for _, service := range subjects.Services() {
		if service == subjects.Setup {
			continue
		}
		p := Permissions(service, "HERE", "THERE")
		fmt.Fprintf(&b, "## %s\n\n", service)
		tableOf(&b, "publishes", p.Publish)
		tableOf(&b, "reads", p.Subscribe)
	}
	b.WriteString("## The link\n\nWhat passes between HERE and THERE, whoever holds the key of the link.\n\n")
	p := linkPermission("HERE", "THERE")
	tableOf(&b, "comes from THERE", p.Publish)
	tableOf(&b, "goes to THERE", p.Subscribe)
	return strings.TrimSuffix(b.String(), "\n")
}

func tableOf(b *strings.Builder, head string, subjects []string) {
	fmt.Fprintf(b, "| %s |\n|---|\n", head)
	for _, s := range subjects {
		fmt.Fprintf(b, "| `%s` |\n", s)
	}
	b.WriteString("\n")
}
