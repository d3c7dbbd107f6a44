package nbd

import (
	"net/url"
	"strings"
)

// URI is how NBD clients address an export: network is unix, with the path of a
// socket as the address, or tcp, with host:port. Everything is percent-encoded: a path
// may have spaces, and characters that mean something in a URI.
func URI(network, address, export string, tls bool) string {
	if network == "unix" {
		return "nbd+unix:///" + url.PathEscape(export) + "?socket=" + escaped(address)
	}
	scheme := "nbd"
	if tls {
		scheme = "nbds"
	}
	return scheme + "://" + address + "/" + url.PathEscape(export)
}

// escaped encodes a path as the value of a query. Clients that are no browsers read a
// plus as a plus, so a space is %20; slashes may stay, and are easier to read.
func escaped(path string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(path))
}
