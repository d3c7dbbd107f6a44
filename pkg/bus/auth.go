package bus

import (
	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/cdp"
)

// Credential is a user of one site's server.
type Credential struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Credentials are all users of one site's server.
type Credentials struct {
	Leaf  Credential
	Users map[string]Credential
}

func (c *Credentials) users(site cdp.Site, peers []cdp.Site) []*server.User { return nil }
