// Package packages builds the Debian and RPM packages as `make packages` does, and
// installs, upgrades and removes each, with its scripts, in a root directory of its own.
// Nothing of this machine changes. It needs root.
package packages
