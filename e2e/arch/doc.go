// Package arch holds the architecture's rules as tests: who may import whom,
// and why.
package arch
