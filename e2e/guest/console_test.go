package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSerialCountsWholeLinesOnly(t *testing.T) {
	s := newSerial()
	for _, part := range []string{"PG-UP\r\nACK 1\r\nAC", "K 2\r", "\nACK x\nWORK-FAI", "LED psql ended\nACK 1"} {
		s.Write([]byte(part))
	}
	if got := s.acknowledged(); !slices.Equal(got, []int64{1, 2}) {
		t.Fatalf("acks %v", got)
	}
	if err := s.waitFor(t.Context(), "PG-UP"); err != nil {
		t.Fatal(err)
	}
	if err := s.waitFor(t.Context(), "never"); err == nil || !strings.Contains(err.Error(), "WORK-FAILED psql ended") {
		t.Fatalf("got %v, want the failure", err)
	}
	ended := newSerial()
	go ended.end()
	if err := ended.waitFor(t.Context(), "never"); err == nil {
		t.Fatal("waited for a guest that had ended")
	}
}

// A console that another process writes, in pieces: rows count when they are
// whole, and from when they were seen.
func TestReadConsole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serial.log")
	c := ReadConsole(t.Context(), path)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := time.Now()
	f.WriteString("PG-UP uptime=3\r\nACK 1\r\nAC")
	if err := c.WaitAcks(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	f.WriteString("K 2\r\nACK 3")
	if err := c.WaitAcks(t.Context(), 2); err != nil || c.LastAck() != 2 {
		t.Fatalf("last row %d, %v", c.LastAck(), err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c.AckedBefore(before) != 0 || c.AckedBefore(time.Now()) != 2 {
		t.Fatalf("%d before the first, %d before now", c.AckedBefore(before), c.AckedBefore(time.Now()))
	}
	if _, err := c.Ledger(t.Context()); err == nil {
		t.Fatal("a ledger was never reported")
	}
}

func TestParseLedger(t *testing.T) {
	good := "PG-UP uptime=4\r\nLEDGER count=7 min=1 max=7 contiguous=t crc=ok\r\nBALANCE ok\r\nWITNESS intent=8 ok\r\nAMCHECK ok\r\nWORK-DONE\r\n"
	if err := ParseLedger(good).Verify(7); err != nil {
		t.Fatal(err)
	}
	if err := ParseLedger(good).Verify(8); err == nil {
		t.Error("an acknowledged row is missing, and passed")
	}
	for _, line := range strings.SplitAfter(good, "\n") {
		if strings.HasPrefix(line, "PG-UP") || strings.HasPrefix(line, "WORK-DONE") || line == "" {
			continue
		}
		if err := ParseLedger(strings.Replace(good, line, "", 1)).Verify(7); err == nil {
			t.Errorf("passed without %q", line)
		}
		bad := strings.NewReplacer("=t ", "=f ", " ok", " bad", "=ok", "=bad").Replace(line)
		if err := ParseLedger(strings.Replace(good, line, bad, 1)).Verify(7); err == nil {
			t.Errorf("passed with %q", bad)
		}
	}
}

func TestScriptAndGoAgree(t *testing.T) {
	if !strings.Contains(asset("pid1.sh"), fmt.Sprintf("\nbatch=%d ", WitnessBatch)) {
		t.Fatal("pid1.sh's batch is not WitnessBatch")
	}
}
