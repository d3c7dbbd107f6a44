package appliance

import (
	"encoding/xml"

	"tidemark.dev/pkg/cdp"
)

// ovfEnv is the key of the document with the properties that somebody gave who deployed
// the OVA at a vCenter, by hand and not with tidemark: the form of vCenter writes it.
const ovfEnv = "guestinfo.ovfEnv"

// property is the value of a property in such a document; "" if it is not there. Invalid:
// it is no such document.
func property(document, key string) (string, error) {
	if document == "" {
		return "", nil
	}
	var env struct {
		Properties []struct {
			Key   string `xml:"http://schemas.dmtf.org/ovf/environment/1 key,attr"`
			Value string `xml:"http://schemas.dmtf.org/ovf/environment/1 value,attr"`
		} `xml:"http://schemas.dmtf.org/ovf/environment/1 PropertySection>Property"`
	}
	if err := xml.Unmarshal([]byte(document), &env); err != nil {
		return "", cdp.Errorf(cdp.Invalid, "read settings", ovfEnv, "it is no environment of an OVF: %w", err)
	}
	for _, p := range env.Properties {
		if p.Key == key {
			return p.Value, nil
		}
	}
	return "", nil
}

// setting is what get says of a key below guestinfo.tidemark; what is not set there may be
// a property of the OVA.
func setting(get func(name string) (string, error), key string) (string, error) {
	v, err := get(prefix + key)
	if err != nil || v != "" {
		return v, err
	}
	env, err := get(ovfEnv)
	if err != nil {
		return "", err
	}
	return property(env, prefix+key)
}
