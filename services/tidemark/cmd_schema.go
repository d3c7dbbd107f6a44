package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/schemas"
)

func (a *app) cmdSchema() *cobra.Command {
	return group("schema", "List, show and use the JSON Schemas of messages and documents",
		"  tidemark schema list\n  tidemark schema show cmd.v1.failover.start\n  tidemark schema validate cmd.v1.failover.start message.json",
		a.cmdSchemaList(), a.cmdSchemaShow(), a.cmdSchemaValidate())
}

// schemaFact is one schema as data.
type schemaFact struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

// schemaFacts are the schemas of this version, by name.
func schemaFacts() (out []schemaFact, err error) {
	err = fs.WalkDir(schemas.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".json" || strings.HasPrefix(p, "examples/") {
			return err
		}
		data, err := fs.ReadFile(schemas.FS, p)
		if err != nil {
			return err
		}
		var head struct{ Title, Description string }
		if err := json.Unmarshal(data, &head); err != nil {
			return cdp.Wrap(err, "read schema", p)
		}
		title, _, _ := strings.Cut(head.Description, "\n")
		if title == "" {
			title = head.Title
		}
		out = append(out, schemaFact{strings.ReplaceAll(strings.TrimSuffix(p, ".json"), "/", "."), title})
		return nil
	})
	return out, err
}

// schemaFile is the file of a schema that somebody named, with or without "tidemark.".
func schemaFile(name string) (string, error) {
	file := event.SchemaPath(name)
	if _, err := fs.Stat(schemas.FS, file); err != nil || strings.HasPrefix(file, "examples/") {
		return "", cdp.Errorf(cdp.NotFound, "find schema", name, "this version has no schema of this name").WithHint("see: tidemark schema list")
	}
	return file, nil
}

func (a *app) cmdSchemaList() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "List the schemas of this version", Args: cobra.NoArgs,
		Long: long(`List the JSON Schemas of this version: commands (cmd), events (evt), requests and their
answers (api), documents for tidemark apply (spec) and configuration files (config). A
command or an event goes to the subject tidemark.cmd.v1.SITE.SERVICE.VERB.NAME or
tidemark.evt.v1.SITE.AREA.FACT.NAME, a request to tidemark.api.v1.SITE.SERVICE.ENDPOINT.`),
		Example: "  tidemark schema list\n  tidemark schema list -o name | grep '^cmd'",
		RunE: func(*cobra.Command, []string) error {
			all, err := schemaFacts()
			if err != nil {
				return err
			}
			return out.print(a.out, all, []string{"name", "of"}, func(add func(...any)) {
				for _, s := range all {
					add(s.Name, s.Title)
				}
			})
		},
	}
	out.register(c)
	return c
}

func (a *app) cmdSchemaShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Print a schema", Args: cobra.ExactArgs(1), ValidArgsFunction: completeSchema,
		Long:    long("Print a JSON Schema (draft 2020-12)."),
		Example: "  tidemark schema show cmd.v1.failover.start\n  tidemark schema show api.v1.journal.points.answer\n  tidemark schema show spec.v1.replicationjob",
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := schemaFile(args[0])
			if err != nil {
				return err
			}
			data, err := fs.ReadFile(schemas.FS, file)
			if err != nil {
				return err
			}
			_, err = a.out.Write(data)
			return err
		},
	}
}

func (a *app) cmdSchemaValidate() *cobra.Command {
	return &cobra.Command{
		Use: "validate NAME FILE", Short: "Check a JSON file against a schema", Args: cobra.ExactArgs(2), ValidArgsFunction: completeSchema,
		Long: long(`Check the data of a message, or a document, against a schema, and name each field that
breaks a rule. FILE is JSON; "-" reads standard input. Documents in YAML are checked by
tidemark apply --dry-run.`),
		Example: "  tidemark schema validate cmd.v1.failover.start message.json\n  echo '{\"job\":\"web\"}' | tidemark schema validate cmd.v1.scheduler.job-run -",
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := schemaFile(args[0])
			if err != nil {
				return err
			}
			var data []byte
			if args[1] == "-" {
				data, err = io.ReadAll(a.in)
			} else {
				data, err = os.ReadFile(args[1])
			}
			if err != nil {
				return &cdp.Error{Op: "read message", Kind: cdp.Invalid, Subject: args[1], Cause: err}
			}
			problems, err := event.NewSchemas().Problems(file, data)
			if err == nil && len(problems) > 0 {
				err = event.Refusal(args[1], problems)
			}
			if err == nil {
				_, err = fmt.Fprintln(a.out, "valid")
			}
			return err
		},
	}
}

func completeSchema(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	all, _ := schemaFacts() // embedded in the binary
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
