package inventory

import (
	"net/url"
	"path"
	"strings"
)

// The path of a file at a vCenter is "[datastore] folder/name.vmdk". This is the only place
// that takes one apart or puts one together.

// SplitFile takes a file's path apart. A datastore's name may have brackets: it ends at the
// first one that a space follows.
func SplitFile(file string) (datastore, rest string, ok bool) {
	file, ok = strings.CutPrefix(strings.TrimSpace(file), "[")
	if !ok {
		return "", "", false
	}
	if datastore, rest, ok = strings.Cut(file, "] "); !ok {
		datastore, rest, ok = strings.Cut(file, "]")
	}
	return datastore, strings.TrimSpace(rest), ok
}

// JoinFile is the path of a file on a datastore; of the datastore itself without rest.
func JoinFile(datastore, rest string) string {
	return strings.TrimSuffix("["+datastore+"] "+rest, " ")
}

// CleanFile is the canonical form of a disk file's path.
func CleanFile(file string) string {
	ds, rest, ok := SplitFile(file)
	if !ok {
		return file
	}
	return JoinFile(ds, strings.TrimPrefix(path.Clean("/"+rest), "/"))
}

// DatastoreName is the datastore in a file's path, as it is written there.
func DatastoreName(file string) string {
	name, _, _ := SplitFile(file)
	return name
}

// Unescape is a name without a vCenter's escaping of slash, backslash and percent sign.
func Unescape(name string) string {
	if s, err := url.PathUnescape(name); err == nil {
		return s
	}
	return name
}

// Holds reports whether a file's path says that it is on the datastore, with its name
// escaped or not.
func (d Datastore) Holds(file string) bool {
	name := DatastoreName(file)
	return name == d.Name || Unescape(name) == d.Name
}
