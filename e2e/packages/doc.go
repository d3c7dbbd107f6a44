// Package packages builds the Debian and RPM packages as `make packages` does, and
// installs and removes each in a root directory of its own. Nothing of this machine changes.
package packages
