// Package vmpolicy decides how VMs are protected: which VMs a job selects, what
// prevents it from protecting them, where replicas are placed and how they are
// connected and addressed, which changes of a source VM its replica follows, and
// which privileges a site's user needs.
//
// All of it is pure: it takes an inventory and a job, and returns VMs, placements
// and problems. It never talks to a vCenter, and it changes nothing.
package vmpolicy
