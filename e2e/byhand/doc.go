// Package byhand runs every line that the documents show for the NATS CLI, with the real
// NATS CLI, as the operator of a site that runs, and looks at what comes of it. Its
// module, e2e/natscli, pins the version.
package byhand
