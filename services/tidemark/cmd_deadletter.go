package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
)

func (a *app) cmdDeadLetter() *cobra.Command {
	return group("deadletter", "List, show, send again and drop messages that services refused",
		"  tidemark deadletter list\n  tidemark deadletter show 12\n  tidemark deadletter retry 12",
		a.cmdDeadLetterList(), a.cmdDeadLetterShow(),
		a.deadLetterEdit("retry NUMBER", "Send a dead letter again, as a new command",
			"It is checked again first. The dead letter stays until it expires or is dropped.", "  tidemark deadletter retry 12", (*client.Client).RetryDeadLetter),
		a.deadLetterEdit("drop NUMBER", "Remove a dead letter for good",
			"Dead letters expire by themselves after 30 days.", "  tidemark deadletter drop 12", (*client.Client).DropDeadLetter))
}

// letter is a dead letter as data.
type letter struct {
	Number  uint64              `json:"number"`
	At      time.Time           `json:"at,omitzero"`
	Service string              `json:"service"`
	Subject string              `json:"subject"`
	Reason  string              `json:"reason"`
	Header  map[string][]string `json:"header,omitempty"`
	// Message is its data: JSON as it is, anything else as text.
	Message json.RawMessage `json:"message"`
}

func letterOf(d client.DeadLetter) letter {
	l := letter{d.Number, d.At, d.Service, d.Subject, d.Reason, d.Header, d.Data}
	if !json.Valid(d.Data) {
		l.Message, _ = json.Marshal(string(d.Data)) // a string
	}
	return l
}

func (a *app) cmdDeadLetterList() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "List the messages that services of this site refused, oldest first", Args: cobra.NoArgs,
		Long: long(`List the messages that services of this site refused for good: commands that are not
valid, whoever sent them. They are kept for 30 days with the reason, and change nothing.`),
		Example: "  tidemark deadletter list\n  tidemark deadletter list -o json | jq '.[].reason'",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				all, err := cl.DeadLetters(ctx)
				if err != nil {
					return err
				}
				var list []letter
				for _, d := range all {
					list = append(list, letterOf(d))
				}
				return out.print(a.out, list, []string{"number", "time", "service", "subject", "reason"}, func(add func(...any)) {
					for _, l := range list {
						add(l.Number, clockText(l.At), l.Service, l.Subject, l.Reason)
					}
				})
			})
		},
	}
	out.register(c)
	return c
}

func (a *app) cmdDeadLetterShow() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "show NUMBER", Short: "Show one dead letter as it came", Args: cobra.ExactArgs(1),
		Long:    long("Show one dead letter: why it was refused, its headers and its data."),
		Example: "  tidemark deadletter show 12",
		RunE: func(c *cobra.Command, args []string) error {
			number, err := letterNumber(args[0])
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				d, err := cl.DeadLetter(ctx, number)
				if err != nil {
					return err
				}
				l := letterOf(d)
				if out.text() {
					return showLetter(a.out, l)
				}
				return out.print(a.out, l, []string{"number"}, func(add func(...any)) { add(l.Number) })
			})
		},
	}
	out.register(c)
	return c
}

func showLetter(w io.Writer, l letter) error {
	_, err := fmt.Fprintf(w, "number    %d\ntime      %s\nservice   %s\nsubject   %s\nrefused   %s\n", l.Number, clockText(l.At), plain(l.Service), plain(l.Subject), plain(l.Reason))
	var keys []string
	for k := range l.Header {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, v := range l.Header[k] {
			if err == nil {
				_, err = fmt.Fprintf(w, "header    %s: %s\n", plain(k), plain(v))
			}
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "message   %s\n", plain(string(l.Message)))
	}
	return err
}

// deadLetterEdit is a command that does something with one dead letter.
func (a *app) deadLetterEdit(use, short, more, example string, do func(*client.Client, context.Context, uint64) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long(short + ". " + more), Example: example, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			number, err := letterNumber(args[0])
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return do(cl, ctx, number) })
		},
	}
}

func letterNumber(arg string) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n == 0 {
		return 0, usage("%q: name a dead letter by its number in tidemark deadletter list", arg)
	}
	return n, nil
}
