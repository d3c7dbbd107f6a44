package node

import "tidemark.dev/pkg/adapter/appliance"

// Appliance makes this process the first one of Tidemark's own appliance, and returns
// only with an error.
func Appliance(version string) error { return appliance.Run(version) }
