// Package guestnet writes the script that gives a guest its addresses from inside, with
// whatever the guest configures its network with, so that they last. It changes nothing
// else of the guest, and leaves network cards that it was given nothing for alone.
package guestnet
