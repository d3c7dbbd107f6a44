package vsphere

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/core/vmpolicy"
)

// cloud-init reads a machine's metadata from these.
const (
	metadata         = "guestinfo.metadata"
	metadataEncoding = "guestinfo.metadata.encoding"
	longestMetadata  = 1 << 20
)

// extraOf are the advanced settings that leave this package. The others stay at the
// vCenter, because they may contain passwords: a transporter's credentials, or what
// an administrator gave a guest for its first start.
func extraOf(all []types.BaseOptionValue) map[string]string {
	var out map[string]string
	encoding := ""
	for _, o := range all {
		v := o.GetOptionValue()
		if strings.EqualFold(v.Key, metadataEncoding) {
			encoding = fmt.Sprint(v.Value)
		}
	}
	for _, o := range all {
		v := o.GetOptionValue()
		if !vmpolicy.MayReadExtra(v.Key) {
			continue
		}
		text := fmt.Sprint(v.Value)
		if strings.EqualFold(v.Key, metadata) {
			if text = identityOf(text, encoding); text == "" {
				continue
			}
		}
		if out == nil {
			out = map[string]string{}
		}
		out[v.Key] = text
	}
	return out
}

// identityOf is the part of cloud-init's metadata that a replica needs: with
// another instance-id, the guest would set itself up again as a new machine.
func identityOf(text, encoding string) string {
	switch strings.ToLower(encoding) {
	case "base64", "b64", "gzip+base64", "gz+b64":
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return ""
		}
		if strings.HasPrefix(strings.ToLower(encoding), "gz") {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				return ""
			}
			if raw, err = io.ReadAll(io.LimitReader(z, longestMetadata)); err != nil {
				return ""
			}
		}
		text = string(raw)
	}
	has := map[string]any{}
	if json.Unmarshal([]byte(text), &has) != nil {
		for line := range strings.Lines(text) { // YAML: what is not indented is at the top
			if k, v, ok := strings.Cut(line, ":"); ok {
				v, _, _ = strings.Cut(v, " #")
				has[k] = strings.Trim(strings.TrimSpace(v), `"'`)
			}
		}
	}
	var out strings.Builder
	for _, k := range []string{"instance-id", "local-hostname"} {
		if v, ok := has[k].(string); ok && v != "" {
			fmt.Fprintf(&out, "%s: %q\n", k, v)
		}
	}
	return out.String()
}
