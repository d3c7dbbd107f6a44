package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// WitnessBatch is by how many rows the witness file on the root disk may be
// ahead of the ledger; pid1.sh's batch.
const WitnessBatch = 8

// Ledger is what a guest found on a pair of disks.
type Ledger struct {
	Started    bool   // the file systems mounted and the database recovered; all below needs it
	Count      int64  // rows
	Min, Max   int64  // ids of the first and last row; 0 without rows
	Contiguous bool   // the ids are 1 to Max
	CRCOK      bool   // every row's payload fits its checksum
	BalanceOK  bool   // the sum of balances is the first day's
	Intent     int64  // the last row the root disk's witness file announces
	WitnessOK  bool   // Max <= Intent <= Max+WitnessBatch: the two disks are of one moment
	AmcheckOK  bool   // indexes and heaps are sound, and every row is indexed
	Plain      bool   // the guest has no database: BalanceOK and AmcheckOK do not apply
	Console    string // all the guest printed
}

// Verify returns what is wrong with the ledger, given the last row that was
// acknowledged before the moment the disks should be of; nil if nothing is.
func (l Ledger) Verify(lastAck int64) error {
	if !l.Started {
		return fmt.Errorf("ledger: the database did not come up; console ends:\n%s", lastLines(l.Console, 15))
	}
	var wrong []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf("ledger: "+format, args...))
		}
	}
	add(!l.Contiguous, "%d rows from %d to %d: gaps", l.Count, l.Min, l.Max)
	add(l.Max < lastAck, "last row is %d, but %d was acknowledged", l.Max, lastAck)
	add(!l.CRCOK, "a row's payload does not fit its checksum")
	add(!l.Plain && !l.BalanceOK, "the sum of the balances has changed")
	add(!l.WitnessOK, "the disks are of different moments: rows up to %d, announced up to %d", l.Max, l.Intent)
	add(!l.Plain && !l.AmcheckOK, "an index or a heap is damaged; console ends:\n%s", lastLines(l.Console, 15))
	return errors.Join(wrong...)
}

// CheckLedger boots a guest on the drives and returns what it found. Raw drives
// stay as they are: the guest writes to overlays. NBD drives must be writable, as
// recovery writes.
//
// A database that does not come up is a finding, not an error. Errors are those
// of Boot, and of a guest that does not power off before ctx ends.
func CheckLedger(ctx context.Context, drives []Drive) (Ledger, error) {
	dir, err := os.MkdirTemp("", "tmcheck")
	if err != nil {
		return Ledger{}, fmt.Errorf("guest: %w", err)
	}
	defer os.RemoveAll(dir)
	var scratch []Drive
	for _, d := range drives {
		d.Overlay = d.Raw != "" && d.Log == ""
		scratch = append(scratch, d)
	}
	vm, err := Boot(ctx, Config{Drives: scratch, Mode: ModeCheck, Dir: dir})
	if err != nil {
		return Ledger{}, err
	}
	defer vm.Kill9()
	if err := vm.Wait(ctx); err != nil {
		return Ledger{}, fmt.Errorf("%w; console ends:\n%s", err, lastLines(vm.Serial(), 15))
	}
	return ParseLedger(vm.Serial()), nil
}

// ParseLedger reads what a guest in ModeCheck or ModeResume has printed. A line
// that is missing leaves its finding bad.
func ParseLedger(console string) Ledger {
	l := Ledger{Console: console}
	for line := range strings.Lines(console) {
		line = strings.TrimSpace(line)
		var contiguous, verdict string
		switch {
		case scan(line, "LEDGER count=%d min=%d max=%d contiguous=%s crc=%s", &l.Count, &l.Min, &l.Max, &contiguous, &verdict):
			l.Started, l.Contiguous, l.CRCOK = true, contiguous == "t", verdict == "ok"
		case scan(line, "RECORD count=%d min=%d max=%d contiguous=%s crc=%s", &l.Count, &l.Min, &l.Max, &contiguous, &verdict):
			l.Started, l.Contiguous, l.CRCOK, l.Plain = true, contiguous == "t", verdict == "ok", true
		case scan(line, "WITNESS intent=%d %s", &l.Intent, &verdict):
			l.WitnessOK = verdict == "ok"
		case line == "BALANCE ok":
			l.BalanceOK = true
		case line == "AMCHECK ok":
			l.AmcheckOK = true
		}
	}
	return l
}

func scan(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return err == nil && n == len(into)
}
