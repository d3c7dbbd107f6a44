package main

import (
	"github.com/spf13/cobra"

	"tidemark.dev/services/node"
)

func (a *app) cmdAppliance() *cobra.Command {
	return &cobra.Command{
		Use: "appliance", Short: "Be the operating system of Tidemark's own transporter", Args: cobra.NoArgs, Hidden: true,
		Long:    long("Configure the machine from its VM's guestinfo.tidemark.* and run the services. The kernel\nof Tidemark's own OVA starts this as its first process; nobody else can."),
		Example: "  tidemark appliance",
		RunE:    func(*cobra.Command, []string) error { return node.Appliance(version) },
	}
}
