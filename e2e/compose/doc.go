// Package compose tests the container files of deploy/compose: what every container may
// and may not, and, on a container engine of its own, that a whole site becomes healthy
// and that `make demo-compose` tells its story.
//
// The engine is Debian's, in a network namespace and a directory of its own, so that
// neither the machine's rules nor another engine's containers are touched. It needs
// root. TIDEMARK_CONTAINERS=0 leaves the engine out, loudly; it is fatal under CI=true.
package compose
