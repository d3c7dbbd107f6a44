// Package clock is where the product's time comes from: the time of day, timers,
// pauses and back-off, of the machine or of a simulation.
//
// Everything but adapters takes a Clock instead of calling package time, so that
// a test, or a simulator of the whole system, decides how time passes. e2e/arch
// holds the code to it.
//
// What it never does: it orders nothing. The order of writes is their seq.
package clock
