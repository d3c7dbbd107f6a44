// Command bench measures Tidemark against what it promises, on the machine's
// own disk, with the product's own packages and real clients.
//
//	go run ./e2e/bench [-only regexp] [-rounds n] [-quick] [-dir d] [-profile d]
//
// Machines are noisy, so what counts are ratios of rounds that were interleaved
// in one run; each line is the median of its rounds:
//
//	name  value  target  verdict
//
// The exit status is 1 when a target was missed, 2 when something failed.
// Everything is thrown away afterwards. Each file with a name from the table in
// main.go is one benchmark; plant.go sets up what they share, peer.go runs
// what they are compared with.
package main
