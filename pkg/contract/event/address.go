package event

import (
	"strings"

	"tidemark.dev/pkg/cdp"
)

// Family tells commands and events apart.
type Family string

const (
	Command Family = "cmd"
	Fact    Family = "evt"
)

const prefix = "tidemark."

// Address is a command's or event's subject, taken apart.
type Address struct {
	Family Family
	Site   cdp.Site
	// Area is the service a command goes to, or the area an event is about.
	Area string
	// Name is the command's verb or the event's fact.
	Name string
	// ID is the job or group.
	ID string
}

// ParseSubject takes a subject apart.
func ParseSubject(subject string) (Address, error) {
	p := strings.Split(subject, ".")
	if len(p) != 7 || p[0]+"." != prefix || (p[1] != "cmd" && p[1] != "evt") || p[2] != "v1" {
		return Address{}, cdp.Errorf(cdp.Invalid, "read subject", subject, "want tidemark.cmd.v1.<site>.<service>.<verb>.<id> or tidemark.evt.v1.<site>.<area>.<fact>.<id>")
	}
	return Address{Family: Family(p[1]), Site: cdp.Site(p[3]), Area: p[4], Name: p[5], ID: p[6]}, nil
}

// Subject puts the address together.
func (a Address) Subject() string {
	return prefix + string(a.Family) + ".v1." + string(a.Site) + "." + a.Area + "." + a.Name + "." + a.ID
}

// Type is the type of what the address carries.
func (a Address) Type() string {
	return prefix + string(a.Family) + ".v1." + a.Area + "." + a.Name
}

// Template is the subject with names for what varies, for traces.
func (a Address) Template() string {
	return prefix + string(a.Family) + ".v1.{site}." + a.Area + "." + a.Name + ".{id}"
}

// AddressOf is where an event of this type goes at site.
func AddressOf(typ string, site cdp.Site, id string) (Address, error) {
	p := strings.Split(typ, ".")
	if len(p) != 5 || p[0]+"." != prefix || (p[1] != "cmd" && p[1] != "evt") || p[2] != "v1" {
		return Address{}, cdp.Errorf(cdp.Invalid, "read type", typ, "want tidemark.cmd.v1.<service>.<verb> or tidemark.evt.v1.<area>.<fact>")
	}
	return Address{Family: Family(p[1]), Site: site, Area: p[3], Name: p[4], ID: id}, nil
}

// SchemaPath is the schema file of a type, within schemas.FS.
func SchemaPath(typ string) string {
	return strings.ReplaceAll(strings.TrimPrefix(typ, prefix), ".", "/") + ".json"
}
