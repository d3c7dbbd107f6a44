package schemas_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"testing"

	"tidemark.dev/schemas"
)

var rewrite = flag.Bool("rewrite", false, "regenerate what is generated")

const referenceFile = "../deploy/reference.md"

const referenceHead = `# Reference of the files

Generated from the schemas; do not edit. To regenerate it:

    go test ./schemas -run Reference -rewrite

Complete files are in ` + "`deploy/examples`" + `. Documents are YAML or JSON, several to a
file, separated by ` + "`---`" + `. Unknown fields are refused. In a field's path, ` + "`[]`" + ` is an
entry of a list.

- A **name** begins with a lower-case letter and has up to 40 lower-case letters,
  digits and ` + "`-`" + `.
- A **duration** is written 500ms, 5s, 1h30m or 2d.
- A **size** is a number of bytes, or a number with KiB, MiB, GiB or TiB.
`

// kinds are the sections of the reference: a schema, and which of its branches
// (then, else) a form of it takes.
var kinds = []struct{ title, path, branch string }{
	{"ReplicationJob: disks", "spec/v1/replicationjob.json", "else"},
	{"ReplicationJob: VMs", "spec/v1/replicationjob.json", "then"},
	{"Site", "spec/v1/site.json", ""},
	{"SiteRecoveryJob", "spec/v1/siterecoveryjob.json", ""},
	{"up.yaml", "config/v1/up.json", ""},
}

// The reference in deploy is what the schemas say.
func TestReference(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(referenceHead)
	for _, k := range kinds {
		data, err := fs.ReadFile(schemas.FS, k.path)
		if err != nil {
			t.Fatal(err)
		}
		var s node
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		if k.branch != "" {
			var forms map[string]node
			_ = json.Unmarshal(data, &forms) // only the branches are of interest
			s.take(forms[k.branch])
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| field | type | default | rules | meaning |\n|---|---|---|---|---|\n", k.title, s.Description)
		s.write(&b, "")
	}
	regenerated(t, referenceFile, "Reference", b.Bytes())
}
