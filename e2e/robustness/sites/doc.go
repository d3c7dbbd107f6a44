// Package sites starts the real product as real processes: NATS servers, and
// the services of two sites, each of which can be killed, stopped, and started
// again, over a link that can be cut and slowed. A process dies with the test.
package sites
