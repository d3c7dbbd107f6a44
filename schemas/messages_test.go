package schemas_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/schemas"
)

// message is a kind of message: a command, an event, or a request with its answer.
type message struct {
	// family is cmd, evt or api, of the service or area, name the verb, fact or endpoint.
	family, of, name string
	schema           node
	answer           *node // of a request
}

// file is the message's schema.
func (m message) file() string { return path.Join(m.family, "v1", m.of, m.name) + ".json" }

// typ is the message's CloudEvents type.
func (m message) typ() string { return "tidemark." + m.family + ".v1." + m.of + "." + m.name }

// address is the message's subject, with site and id in braces.
func (m message) address() string {
	address := "tidemark." + m.family + ".v1.{site}." + m.of + "." + m.name
	if m.family != "api" {
		address += ".{id}"
	}
	return address
}

// messages are all of a family, by service or area and name.
func messages(t *testing.T, family string) (all []message) {
	t.Helper()
	files, err := fs.Glob(schemas.FS, family+"/v1/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(family, err)
	}
	for _, file := range files {
		m := message{family: family, of: path.Base(path.Dir(file)), name: strings.TrimSuffix(path.Base(file), ".json"), schema: read(t, file)}
		if family == "api" {
			answer := read(t, strings.TrimSuffix(file, ".json")+"/answer.json")
			m.answer = &answer
		}
		all = append(all, m)
	}
	return all
}

func read(t *testing.T, file string) (n node) {
	t.Helper()
	data, err := fs.ReadFile(schemas.FS, file)
	if err == nil {
		err = json.Unmarshal(data, &n)
	}
	if err != nil {
		t.Fatal(file, err)
	}
	return n
}

const messagesHead = `# The messages

Generated from the schemas; do not edit. To regenerate it, and ` + "`schemas/asyncapi.yaml`" + `, which
has the same for programs (AsyncAPI 3):

    go test ./schemas -run Messages -rewrite

Commands and events are CloudEvents 1.0; requests are answered in JSON. How to send them:
` + "[nats.md](nats.md)" + `. Unknown fields are refused. The tables go two levels deep;
` + "`tidemark schema show NAME`" + ` prints all of a schema. In a field's path, ` + "`[]`" + ` is an entry of
a list. **Required** fields are always there, or must be.
`

// families are the sections of the page.
var families = []struct{ title, family, text string }{
	{"Commands", "cmd", "A command goes to its service through a stream; what comes of it is an event, and a record in the stream AUDIT."},
	{"Events", "evt", "What happened. They are kept in the stream EVT."},
	{"Requests", "api", "A request is answered at once, with JSON or with a reason. A service checks it against its schema first."},
}

// The page of messages is what the schemas say.
func TestMessages(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(messagesHead)
	for _, f := range families {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", f.title, f.text)
		for _, m := range messages(t, f.family) {
			fmt.Fprintf(&b, "\n### %s %s\n\n`%s`\n\n%s\n", m.of, m.name, strings.NewReplacer("{site}", "SITE", "{id}", "NAME").Replace(m.address()), m.schema.Description)
			table(&b, "field", m.schema)
			if m.answer != nil {
				table(&b, "answer", *m.answer)
			}
		}
	}
	regenerated(t, "../deploy/messages.md", "Messages", b.Bytes())
}

func table(b *bytes.Buffer, of string, n node) {
	if len(n.Properties.names) == 0 {
		if of == "answer" {
			b.WriteString("\nIts answer has no fields.\n")
		}
		return
	}
	fmt.Fprintf(b, "\n| %s | type | rules | meaning |\n|---|---|---|---|\n", of)
	n.rows(b, "", 2)
}

// rows writes a row for each field, down to a depth.
func (n *node) rows(b *bytes.Buffer, at string, depth int) {
	if depth == 0 {
		return
	}
	for _, name := range n.Properties.names {
		p := n.Properties.nodes[name]
		if p == nil || p.Not != nil {
			continue
		}
		rules := p.rules()
		if slices.Contains(n.Required, name) {
			rules = append([]string{"**required**"}, rules...)
		}
		kind, below, in := p.kind(), p, "."
		if p.Items != nil {
			kind, below, in = "list of "+p.Items.kind(), p.Items, "[]."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", at+name, kind, strings.Join(rules, "; "), strings.ReplaceAll(p.Description, "|", `\|`))
		below.rows(b, at+name+in, depth-1)
	}
}

// regenerated compares a file with what it should be, and writes it if that is asked for.
func regenerated(t *testing.T, file, run string, want []byte) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, want) {
		t.Errorf("%s is not what the schemas say (%v): run go test ./schemas -run %s -rewrite", file, err, run)
	}
}
