// Package predicate is the language of conditions over a status, as plans have them:
//
//	state == "protected" and rpoSeconds < 30
//	not (journal.frame < 100 or problems.0.text != null)
//
// An operand is a field of the status by its path in JSON, a number, a text in double quotes,
// true, false or null. A field that the status does not have now is null. Comparisons are
// == != < <= > >=; or binds weaker than and, and that weaker than not.
//
// What it never does: it changes nothing, calls nothing, and has no loops, so it always ends.
package predicate
