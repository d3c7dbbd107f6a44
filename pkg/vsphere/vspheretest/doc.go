// Package vspheretest runs a vCenter for tests: govmomi's simulator over real
// SOAP, extended by what replication needs and the stock one lacks.
package vspheretest
