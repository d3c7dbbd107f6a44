// Package pointtime is what a target believes of its source's times. It is pure.
//
// Seq orders; time only labels. But people choose points by their labels, so a
// label must be right, or say how wrong it may be. Two clocks can step at any
// time, and the source may lie. The target knows three things by itself: its own
// clock, the order of points, and how far the source's clock is off, as measured.
//
// # Rules
//
//   - A point is not newer than its arrival.
//   - Times of points never run backwards, whatever clock steps.
//   - In between, the source's time is believed, corrected by the measured offset.
//     A time outside is replaced by the nearest one that is possible; its error says
//     by how much, and the point is marked if no error of the measurement explains
//     it.
//   - A measurement that cannot be true is refused. One that contradicts older ones
//     replaces them: a clock has stepped. A step of the target's own clock is
//     subtracted.
//
// What it never does: it decides nothing about retention, which goes by the time
// that the journal has run.
package pointtime
