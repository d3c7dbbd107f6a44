package inventory

// Area is a range of a disk, in bytes.
type Area struct {
	Off int64 `json:"off"`
	N   int64 `json:"n"`
}
