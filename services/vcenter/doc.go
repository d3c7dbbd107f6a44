// Package vcenter is the service that holds a site's vCenter: the only one with
// its credentials. Others ask it over the bus.
package vcenter
