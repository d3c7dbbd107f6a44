package proc

import (
	"errors"
	"os"
	"path/filepath"
)

// Windows are the files in shared memory in which capture keeps a job's frames:
// one for each site that captures a group of this name.
func Windows(job string) []string {
	found, _ := filepath.Glob(filepath.Join("/dev/shm/tidemark", "*", job+".window")) // the pattern is good
	return found
}

// ForgetWindows removes what killed captures leave of a job in shared memory; in
// production their next start takes that over.
func ForgetWindows(job string) (err error) {
	for _, w := range Windows(job) {
		err = errors.Join(err, os.Remove(w))
		_ = os.Remove(filepath.Dir(w)) // unless the site has others
	}
	return err
}
