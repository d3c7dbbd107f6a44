package appliance

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

func TestOnlyTheSecondDiskOfTheOwnControllerIsTheDataDisk(t *testing.T) {
	sys := t.TempDir()
	for disk, place := range map[string]string{"sda": "2:0:0:0", "sdb": "2:0:1:0", "sdc": "2:0:2:0", "sdd": "3:0:0:0", "sde": "3:0:1:0"} {
		dir := filepath.Join(sys, "devices", place)
		for _, err := range []error{os.MkdirAll(dir, 0o755), os.MkdirAll(filepath.Join(sys, disk), 0o755), os.Symlink(dir, filepath.Join(sys, disk, "device"))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	all := scsiDisks(sys)
	for own, want := range map[string]string{"sda": "sdb", "sdd": "sde"} {
		if got, err := dataDisk(all, func(d string) bool { return d == own }); got != want || err != nil {
			t.Errorf("booted from %s: %s, %v", own, got, err)
		}
	}
	for what, c := range map[string]struct {
		disks  []scsiDisk
		booted string
		kind   cdp.Kind
	}{
		"two appliances": {all, "sda sdd", cdp.Conflict}, "none": {all, "sdc", cdp.NotFound}, "no second disk": {all[:1], "sda", cdp.NotFound},
	} {
		if got, err := dataDisk(c.disks, func(d string) bool { return strings.Contains(c.booted, d) }); !cdp.Is(err, c.kind) || cdp.HintOf(err) == "" {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// newFS is an ext4 as the build of the OVA makes it, but smaller.
func newFS(t *testing.T) (image string, size int64) {
	t.Helper()
	image, size = filepath.Join(t.TempDir(), "fs"), 32<<20
	out, err := exec.Command("/sbin/mkfs.ext4", "-q", "-F", "-b", "4096", "-L", DataLabel, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", image, "32M").CombinedOutput()
	if err != nil {
		t.Fatalf("mkfs.ext4 of e2fsprogs is needed: %v %s", err, out)
	}
	return image, size
}

// A blank disk gets the file system of the seed; also if the machine was switched off in
// the middle. A disk that anything else is on is refused.
func TestOnlyABlankDiskGetsAFileSystem(t *testing.T) {
	image, size := newFS(t)
	fs, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteSeed(&b, bytes.NewReader(fs), size); err != nil {
		t.Fatal(err)
	}
	seed, err := readSeed(&b)
	if err != nil {
		t.Fatal(err)
	}
	const larger = 64 << 20
	disk := func(size int64, writes map[int64]string) *os.File {
		f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		for at, s := range writes {
			if _, err := f.WriteAt([]byte(s), at); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	half := seed[len(seed)/2]
	for what, c := range map[string]struct {
		writes map[int64]string
		blank  bool
	}{
		"blank":                     {nil, true},
		"switched off in between":   {map[int64]string{half.at: string(half.data)}, true},
		"a boot record":             {map[int64]string{510: "\x55\xaa"}, false},
		"LVM's label":               {map[int64]string{512: "LABELONE"}, false},
		"something in the middle":   {map[int64]string{larger / 2: "x"}, false},
		"md's superblock":           {map[int64]string{larger - 8192: "\xfc\x4e\x2b\xa9"}, false},
		"another file system there": {map[int64]string{1024 + 56: "\x53\xef"}, false},
	} {
		if ok, err := blank(disk(larger, c.writes), larger, seed); ok != c.blank || err != nil {
			t.Errorf("%s: blank: %v, %v", what, ok, err)
		}
	}
	if err := plant(disk(1<<20, nil), 1<<20, seed); err == nil || !strings.Contains(err.Error(), "too small") {
		t.Error(err)
	}
	d := disk(larger, nil)
	if err := plant(d, larger, seed); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("/sbin/e2fsck", "-fn", d.Name()).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
	got, has, err := superblock(d)
	if want := (ext4{label: DataLabel, blockSize: 4096, blocks: uint64(size / 4096)}); !has || err != nil || got != want {
		t.Errorf("%+v, %v, %v", got, has, err)
	}
}

func TestDisksAreLinkedByTheirUUID(t *testing.T) {
	sys, dir := t.TempDir(), t.TempDir()
	for disk, id := range map[string]string{"sda": "naa.6000C2934A\n", "sdb": "t10.ATA x", "sdc": "naa.../x"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(sys, disk, "device"), 0o755), os.WriteFile(filepath.Join(sys, disk, "device", "wwid"), []byte(id), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/sdz", filepath.Join(dir, "wwn-0xgone")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		syncLinks(diskIdentities(sys), dir, "/dev")
		have, _ := os.ReadDir(dir)
		if to, _ := os.Readlink(filepath.Join(dir, "wwn-0x6000c2934a")); len(have) != 1 || to != "/dev/sda" {
			t.Errorf("%v, to %s", have, to)
		}
	}
	syncLinks(map[string]string{"sdq": "wwn-0x6000c2934a"}, dir, "/dev")
	if to, _ := os.Readlink(filepath.Join(dir, "wwn-0x6000c2934a")); to != "/dev/sdq" {
		t.Errorf("the disk has another name now, and the link leads to %s", to)
	}
}
