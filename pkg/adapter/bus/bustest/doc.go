// Package bustest starts real sites for tests: embedded NATS servers joined by
// a leaf node through a proxy that can cut and delay the link. It is for tests
// only.
package bustest
