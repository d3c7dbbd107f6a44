package node

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/services/journal"
)

// Two sites are joined by two lines of text that people carry: an invitation from the
// site that is dialled, and the answer of the site that dials. Each site makes its own
// keys, and only public halves are in the lines. The invitation holds a secret, good once
// and for a while; the answer proves with it that it is from who was invited.

// Marks of the two lines, with the version of what follows, base64 of JSON.
const (
	invitationMark = "tidemark-invitation-1."
	answerMark     = "tidemark-answer-1."
)

// invitation is from a site that is dialled to one that dials it.
type invitation struct {
	From    cdp.Site        `json:"from"`
	To      cdp.Site        `json:"to"`
	Secret  string          `json:"secret"`
	Expires time.Time       `json:"expires"`
	Signer  frame.PublicKey `json:"signer"` // with which From signs recovery points
}

// joinAnswer is To's answer.
type joinAnswer struct {
	From   cdp.Site        `json:"from"` // who was invited
	To     cdp.Site        `json:"to"`
	Link   string          `json:"link"` // the public key of the link that From dials
	Signer frame.PublicKey `json:"signer"`
	MAC    []byte          `json:"mac"` // of all the others, with the invitation's secret
}

func (a joinAnswer) sealed(secret string) joinAnswer {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%s %s %s %s", a.From, a.To, a.Link, a.Signer)
	a.MAC = h.Sum(nil)
	return a
}

// Joiner joins sites of a configuration. What it keeps is below the directory of the
// configuration, and what services keep below Services.
type Joiner struct {
	Config   Config
	Services string // where the directories of services are; empty: the same
	Clock    clock.Clock
}

// Joined is what a site now knows another one by.
type Joined struct {
	Site cdp.Site `json:"site"`
	// Link is the public key by which its link is known, if it dials.
	Link string `json:"link,omitempty"`
	// Signers are the keys that it may sign recovery points with.
	Signers []string `json:"signers"`
}

// Invite gives a site that will dial another one an invitation, for a time. A newer one
// replaces it.
func (j Joiner) Invite(site, peer cdp.Site, within time.Duration) (line string, err error) {
	const op = "invite site"
	l, err := j.link(op, peer, site)
	if err != nil {
		return "", err
	}
	if l.Key != "" {
		return "", cdp.Errorf(cdp.Conflict, op, string(peer), "the configuration has a key for its link already, which would go before the one that it answers with").
			WithHint("remove key: from the link")
	}
	dir, err := directory(j.Config)
	if err != nil {
		return "", err
	}
	i := invitation{From: site, To: peer, Secret: rand.Text(), Expires: j.Clock.Now().Add(within).UTC().Round(time.Second)}
	if i.Signer, err = j.signer(dir, site); err != nil {
		return "", err
	}
	line = encodeLine(invitationMark, i)
	return line, keep(invitationPath(dir, l), line)
}

// Join answers an invitation, at the site that was invited. It makes the site's keys,
// unless it has them, and binds the inviting site's.
func (j Joiner) Join(line string) (answer string, known Joined, err error) {
	const op = "join site"
	var i invitation
	if err := decodeLine(op, invitationMark, line, &i); err != nil {
		return "", known, err
	}
	if err := j.stillGood(op, i); err != nil {
		return "", known, err
	}
	l, err := j.link(op, i.To, i.From)
	if err != nil {
		return "", known, err
	}
	dir, err := directory(j.Config)
	if err != nil {
		return "", known, err
	}
	a := joinAnswer{From: i.To, To: i.From}
	if _, a.Link, err = linkSeed(dir, l); err != nil {
		return "", known, err
	}
	if a.Signer, err = j.signer(dir, i.To); err != nil {
		return "", known, err
	}
	known = Joined{Site: i.From}
	known.Signers, err = bindSigner(j.services(dir), i.To, i.From, i.Signer)
	return encodeLine(answerMark, a.sealed(i.Secret)), known, err
}

// Accept takes the answer to an invitation, at the site that invited.
func (j Joiner) Accept(line string) (known Joined, err error) {
	const op = "accept site"
	var a joinAnswer
	if err := decodeLine(op, answerMark, line, &a); err != nil {
		return known, err
	}
	l, err := j.link(op, a.From, a.To)
	if err != nil {
		return known, err
	}
	dir, err := directory(j.Config)
	if err != nil {
		return known, err
	}
	path := invitationPath(dir, l)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return known, cdp.Errorf(cdp.NotFound, op, string(a.From), "site %s was not invited, or has been accepted already", a.From).
			WithHint("invite it again: tidemark site invite " + string(a.From))
	}
	var i invitation
	if err == nil {
		err = decodeLine(op, invitationMark, string(text), &i)
	}
	if err != nil {
		return known, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	if err := j.stillGood(op, i); err != nil {
		return known, err
	}
	if !hmac.Equal(a.sealed(i.Secret).MAC, a.MAC) {
		return known, cdp.Errorf(cdp.Invalid, op, string(a.From), "the answer is not to the newest invitation, or was changed on its way; nothing was changed here").
			WithHint("join again at " + string(a.From) + " with the newest invitation, or invite it again")
	}
	if !bus.IsLinkKey(a.Link) { // the server would not start with it
		return known, cdp.Errorf(cdp.Invalid, op, string(a.From), "the answer has no public key of a link: it was not made by tidemark site join").
			WithHint("join again at " + string(a.From))
	}
	if err := os.Remove(path); err != nil { // it is good once
		return known, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	if err := keep(keyPath(dir, l), a.Link); err != nil {
		return known, err
	}
	known = Joined{Site: a.From, Link: a.Link}
	known.Signers, err = bindSigner(j.services(dir), a.To, a.From, a.Signer)
	return known, err
}

func (j Joiner) stillGood(op string, i invitation) error {
	if j.Clock.Now().After(i.Expires) {
		return cdp.Errorf(cdp.Invalid, op, string(i.To), "the invitation was good until %s", i.Expires.Format(time.RFC3339)).
			WithHint("invite it again at " + string(i.From) + ": tidemark site invite " + string(i.To))
	}
	return nil
}

// link is the configuration's link from one site to another.
func (j Joiner) link(op string, from, to cdp.Site) (LinkConfig, error) {
	at := slices.IndexFunc(j.Config.Links, func(l LinkConfig) bool { return l.From == from && l.To == to })
	if at < 0 {
		return LinkConfig{}, cdp.Errorf(cdp.Invalid, op, string(from), "the configuration has no link from %s to %s", from, to).
			WithHint("name the file with that link: --config up.yaml")
	}
	return j.Config.Links[at], nil
}

func (j Joiner) services(dir string) string {
	if j.Services != "" {
		return j.Services
	}
	return dir
}

// signer is the key that a site of this machine signs recovery points with; it is made
// the first time.
func (j Joiner) signer(dir string, site cdp.Site) (frame.PublicKey, error) {
	key, err := signingKey(filepath.Join(j.services(dir), string(site), "capture"))
	if err != nil {
		return frame.PublicKey{}, err
	}
	return frame.PublicKey(key.Public().(ed25519.PublicKey)), nil
}

func invitationPath(dir string, l LinkConfig) string {
	return filepath.Join(dir, string(l.To), "links", string(l.From)+".invitation")
}

// bindSigner adds a key to those that a site knows another one to sign with, and gives
// all of them: older ones stay, for history that is signed with them.
func bindSigner(dir string, site, source cdp.Site, key frame.PublicKey) (all []string, err error) {
	signers := filepath.Join(dir, string(site), "journal", "signers")
	keys, err := journal.ReadSigners(signers, source)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(keys, key) {
		keys = append(keys, key)
	}
	for _, k := range keys {
		all = append(all, k.String())
	}
	path := journal.SignersFile(signers, source)
	if err = os.MkdirAll(signers, 0o700); err == nil {
		err = durable.WriteFile(path, []byte(strings.Join(all, "\n")+"\n"))
	}
	if err != nil {
		return nil, &cdp.Error{Op: "bind signing key", Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	return all, nil
}

func encodeLine(mark string, v any) string {
	data, _ := json.Marshal(v) // structs of texts and times
	return mark + base64.RawURLEncoding.EncodeToString(data)
}

func decodeLine(op, mark, line string, into any) error {
	text, is := strings.CutPrefix(strings.TrimSpace(line), mark)
	data, err := base64.RawURLEncoding.DecodeString(text)
	if !is || err != nil || json.Unmarshal(data, into) != nil {
		return cdp.Errorf(cdp.Invalid, op, beginning(line), "it is no line that begins with %s, or not the whole of one", mark).
			WithHint("the steps are: tidemark site invite, join, accept; each takes the line that the one before printed")
	}
	return nil
}

// beginning is enough of a line to know it by, and too little of a secret.
func beginning(line string) string {
	if len(line) > len(invitationMark) {
		return line[:len(invitationMark)] + "..."
	}
	return line
}
