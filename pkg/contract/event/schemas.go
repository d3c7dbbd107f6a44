package event

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/schemas"
)

// Schemas checks payloads against the embedded schemas. It is safe for concurrent use.
type Schemas struct{ printer *message.Printer }

// compiled has the schemas that were needed so far, by file. They are embedded and never
// change, and to compile one costs more than a hundred checks: so each is compiled once
// in a process, however many checkers there are.
var compiled sync.Map // string to *jsonschema.Schema

// NewSchemas makes a checker.
func NewSchemas() *Schemas {
	return &Schemas{printer: message.NewPrinter(language.English)}
}

// Problem is one thing wrong with a document.
type Problem struct {
	Path string // JSON pointer of the field
	Rule string // the schema's keyword that refuses it
	Text string
}

func (p Problem) String() string { return p.Path + ": " + p.Text + " (" + p.Rule + ")" }

// Check returns an Invalid error that names every field of e's payload that its
// schema refuses, and why.
func (s *Schemas) Check(e Event) error {
	problems, err := s.Problems(SchemaPath(e.Type), e.Data)
	if cdp.Is(err, cdp.NotFound) {
		return cdp.Errorf(cdp.Invalid, "check", e.Type, "there is no such command or event")
	}
	if err != nil {
		return err
	}
	return Refusal(e.Type, problems)
}

// Refusal makes one Invalid error of problems; nil if there are none.
func Refusal(subject string, problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	text := make([]string, len(problems))
	for i, p := range problems {
		text[i] = p.String()
	}
	return cdp.Errorf(cdp.Invalid, "check", subject, "%s", strings.Join(text, "; "))
}

// Problems checks a JSON document against the schema in file. NotFound means
// that there is no such schema.
func (s *Schemas) Problems(file string, doc []byte) ([]Problem, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return []Problem{{"/", "json", err.Error()}}, nil
	}
	return s.ProblemsOf(file, v)
}

// ProblemsOf is Problems of a decoded document, whose numbers are json.Number.
func (s *Schemas) ProblemsOf(file string, doc any) ([]Problem, error) {
	schema, err := s.schema(file)
	if err != nil {
		return nil, err
	}
	err = schema.Validate(doc)
	if err == nil {
		return nil, nil
	}
	bad, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return nil, &cdp.Error{Op: "check", Kind: cdp.Internal, Subject: file, Cause: err}
	}
	return s.leaves(bad, nil), nil
}

func (s *Schemas) leaves(e *jsonschema.ValidationError, out []Problem) []Problem {
	if len(e.Causes) == 0 {
		rule := e.ErrorKind.KeywordPath()
		p := Problem{Path: "/" + strings.Join(e.InstanceLocation, "/"), Rule: "schema", Text: e.ErrorKind.LocalizedString(s.printer)}
		if len(rule) > 0 {
			p.Rule = rule[len(rule)-1]
		} else if strings.Contains(p.Text, "false schema") {
			p.Rule, p.Text = "false", "not allowed here"
		}
		return append(out, p)
	}
	for _, c := range e.Causes {
		out = s.leaves(c, out)
	}
	return out
}

func (s *Schemas) schema(file string) (*jsonschema.Schema, error) {
	if c, ok := compiled.Load(file); ok {
		return c.(*jsonschema.Schema), nil
	}
	if path.Clean(file) != file || strings.HasPrefix(file, "examples/") {
		return nil, cdp.Errorf(cdp.NotFound, "find schema", file, "no such schema")
	}
	data, err := fs.ReadFile(schemas.FS, file)
	if err != nil {
		return nil, &cdp.Error{Op: "find schema", Kind: cdp.NotFound, Subject: file, Cause: err}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, &cdp.Error{Op: "read schema", Kind: cdp.Internal, Subject: file, Cause: err}
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(file, doc); err != nil {
		return nil, &cdp.Error{Op: "read schema", Kind: cdp.Internal, Subject: file, Cause: err}
	}
	schema, err := c.Compile(file)
	if err != nil {
		return nil, &cdp.Error{Op: "compile schema", Kind: cdp.Internal, Subject: file, Cause: err}
	}
	kept, _ := compiled.LoadOrStore(file, schema)
	return kept.(*jsonschema.Schema), nil
}
