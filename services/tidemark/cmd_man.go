package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) cmdMan() *cobra.Command {
	return &cobra.Command{
		Use: "man", Short: "Print the manual page", Args: cobra.NoArgs,
		Long:    long("Print the manual page, with every command and flag, as troff for man."),
		Example: "  tidemark man | man -l -\n  tidemark man > /usr/share/man/man1/tidemark.1",
		RunE: func(c *cobra.Command, _ []string) error {
			var p manPage
			p.write(c.Root())
			_, err := io.WriteString(a.out, p.b.String())
			return err
		},
	}
}

// manPage is a page in troff's man macros.
type manPage struct{ b strings.Builder }

func (p *manPage) write(root *cobra.Command) {
	fmt.Fprintf(&p.b, ".TH TIDEMARK 1 \"\" \"tidemark %s\" \"Tidemark\"\n", troff(version))
	fmt.Fprintf(&p.b, ".SH NAME\ntidemark \\- %s\n", troff(strings.ToLower(root.Short[:1])+root.Short[1:]))
	p.b.WriteString(".SH SYNOPSIS\n.B tidemark\n.I COMMAND\n.RI [ FLAGS ]\n.SH DESCRIPTION\n")
	p.text(root.Long)
	p.preformatted(root.Example)
	p.b.WriteString(".SH \"GLOBAL FLAGS\"\n")
	p.flags(root.PersistentFlags())
	p.b.WriteString(".SH COMMANDS\n")
	p.commands(root)
}

// commands writes the commands below c that do something.
func (p *manPage) commands(c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" {
			continue
		}
		if sub.Runnable() && !sub.HasSubCommands() || sub.Flags().HasFlags() && sub.Runnable() {
			fmt.Fprintf(&p.b, ".SS \"%s\"\n", strings.ReplaceAll(troff(sub.UseLine()), `"`, `\(dq`))
			text := sub.Long
			if text == "" {
				text = sub.Short + "."
			}
			p.text(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), exitHelp))) // the page has it once
			p.flags(sub.LocalNonPersistentFlags())
			p.preformatted(sub.Example)
		}
		p.commands(sub)
	}
}

// text writes paragraphs. Lines that begin with a space stay as they are.
func (p *manPage) text(text string) {
	for part := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(part, " ") {
			p.preformatted(part)
			continue
		}
		p.b.WriteString(".PP\n" + troff(part) + "\n")
	}
}

func (p *manPage) preformatted(text string) {
	if text != "" {
		p.b.WriteString(".PP\n.nf\n" + troff(text) + "\n.fi\n")
	}
}

func (p *manPage) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(&p.b, ".TP\n.B %s\n%s\n", troff(strings.TrimSpace(name+" "+kind)), troff(usage))
	})
}

// troff writes text so that no character of it is a request.
func troff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
