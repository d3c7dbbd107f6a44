package guest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
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

func TestParseLedger(t *testing.T) {
	good := "PG-UP uptime=4\r\nLEDGER count=7 min=1 max=7 contiguous=t crc=ok\r\nBALANCE ok\r\nWITNESS intent=8 ok\r\nAMCHECK ok\r\nWORK-DONE\r\n"
	if err := parseLedger(good).Verify(7); err != nil {
		t.Fatal(err)
	}
	if err := parseLedger(good).Verify(8); err == nil {
		t.Error("an acknowledged row is missing, and passed")
	}
	for _, line := range strings.SplitAfter(good, "\n") {
		if strings.HasPrefix(line, "PG-UP") || strings.HasPrefix(line, "WORK-DONE") || line == "" {
			continue
		}
		if err := parseLedger(strings.Replace(good, line, "", 1)).Verify(7); err == nil {
			t.Errorf("passed without %q", line)
		}
		bad := strings.NewReplacer("=t ", "=f ", " ok", " bad", "=ok", "=bad").Replace(line)
		if err := parseLedger(strings.Replace(good, line, bad, 1)).Verify(7); err == nil {
			t.Errorf("passed with %q", bad)
		}
	}
}

func TestScriptAndGoAgree(t *testing.T) {
	if !strings.Contains(asset("pid1.sh"), fmt.Sprintf("\nbatch=%d ", WitnessBatch)) {
		t.Fatal("pid1.sh's batch is not WitnessBatch")
	}
}
