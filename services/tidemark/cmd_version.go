package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker; without it the commit is the one that Go
// itself recorded.
var version, commit = "dev", ""

// build is what this binary was made from.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func thisBuild() build {
	b := build{version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if b.Commit != "" || !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	return b
}

func (b build) String() string {
	if b.Commit != "" {
		return fmt.Sprintf("%s %s %s %s/%s", b.Version, b.Commit, b.Go, b.OS, b.Arch)
	}
	return fmt.Sprintf("%s %s %s/%s", b.Version, b.Go, b.OS, b.Arch)
}

func (a *app) cmdVersion() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "version", Short: "Print the version and the commit", Example: "  tidemark version\n  tidemark version -o json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return out.facts(a.out, b, b.Version, func() error {
				_, err := fmt.Fprintf(a.out, "tidemark %s\n", b)
				return err
			})
		},
	}
	out.register(c)
	return c
}
