// Package metrics serves what monitoring asks a process over HTTP:
//
//	/metrics   Prometheus metrics of the services that run here
//	/healthz   200 while the process runs
//	/readyz    200 once every service of the process takes requests; else 503 and why
//
// Each scrape asks the services for the status that they have anyway. The package
// keeps no figures of its own, except for how long the way of a write takes. Where a
// service has no data there is no series: a zero means zero. deploy/prometheus lists the
// metrics.
//
// It never changes anything, and it answers whoever reaches its address, so that is
// a loopback address unless the operator names another.
package metrics
