package api

import "tidemark.dev/pkg/cdp"

// SiteLinks says which sites a site is linked with. It is kept at each site in
// the state bucket, under subjects.KeyLinks and the site's name.
type SiteLinks struct {
	Site  cdp.Site   `json:"site"`
	Peers []cdp.Site `json:"peers"`
}
