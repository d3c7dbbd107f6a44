package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// The accounts of a site's server. Streams are in accountApp, the only one with
// JetStream. All users are in accountUsers. Each peer's leaf connection is in an account
// of its own, which has nothing but what crossings lets pass.
//
// Whoever sends a request names the subject that the answer goes to, and the server checks
// no permission for that. An answer of JetStream, which may be a stored message as its
// sender wrote it, would reach every stream and JetStream itself. So users reach these
// through one single export: the server delivers an answer that came through an export
// among the users, and never passes it on through that same export. There must be one
// only, for it would pass from one to the other.
const (
	accountApp    = "APP"
	accountUsers  = "USERS"
	accountSystem = "SYS"
	// openUser is everybody, at a server without Credentials.
	openUser = "open"
)

// usersWait is how long after a request of a user its answers may come: longer than any
// that comes over a link.
const usersWait = time.Minute

func linkAccount(peer cdp.Site) string { return "LINK_" + string(peer) }

// account is one account in the server's configuration.
type account struct {
	exports, imports []string
	exported         map[string]int // index in exports, by kind and subject
	users            []string
}

// export offers a subject to other accounts. A subject that is offered to two
// is one export.
func (a *account) export(c crossing, subject, to string) {
	kind := "stream"
	if c.service {
		kind = "service"
	}
	key := kind + " " + subject
	if at, ok := a.exported[key]; ok {
		a.exports[at] = strings.TrimSuffix(a.exports[at], "]}") + ", " + quote(to) + "]}"
		return
	}
	more := ""
	if c.answers > 0 {
		more = ", response_type: stream, response_threshold: " + quote(c.answers.String())
	}
	if a.exported == nil {
		a.exported = map[string]int{}
	}
	a.exported[key] = len(a.exports)
	a.exports = append(a.exports, fmt.Sprintf("{%s: %s%s, accounts: [%s]}", kind, quote(subject), more, quote(to)))
}

// bring takes a subject from another account, under the name as.
func (a *account) bring(c crossing, from, subject, as string) {
	kind, to := "stream", ""
	if c.service {
		kind = "service"
	}
	if as != subject {
		to = ", to: " + quote(as)
	}
	a.imports = append(a.imports, fmt.Sprintf("{%s: {account: %s, subject: %s}%s}", kind, quote(from), quote(subject), to))
}

// accounts gives the accounts of a site and their users, as text.
func (cfg ServerConfig) accounts() string {
	app, people := &account{}, &account{}
	everything, messages := crossing{service: true, answers: usersWait}, crossing{}
	app.export(everything, ">", accountUsers)
	people.bring(everything, accountApp, ">", ">")
	// What is stored is announced, and consumers that push, which set-up alone can make,
	// deliver to the inboxes of NATS clients: nats kv watch needs one.
	for _, subject := range []string{subjects.Stored(">"), "_INBOX.>"} {
		app.export(messages, subject, accountUsers)
		people.bring(messages, accountApp, subject, subject)
	}
	named := map[string]*account{accountApp: app, accountUsers: people}
	var links strings.Builder
	for _, l := range cfg.Links {
		name, link := linkAccount(l.Peer), &account{}
		for _, c := range crossings(cfg.Site, l.Peer) {
			named[c.from()].export(c, c.here, name)
			link.bring(c, c.from(), c.here, c.on)
		}
		for _, c := range crossings(l.Peer, cfg.Site) {
			link.export(c, c.on, c.to())
			named[c.to()].bring(c, name, c.on, c.on)
		}
		if l.Dial == "" {
			link.users = append(link.users, fmt.Sprintf("{nkey: %s, allowed_connection_types: [LEAFNODE], %s}", quote(l.Key), linkPermission(cfg.Site, l.Peer).text()))
		}
		link.write(&links, name, "")
	}
	people.users = cfg.users()
	var b strings.Builder
	b.WriteString("accounts {\n")
	fmt.Fprintf(&b, "  %s {users: []}\n", accountSystem)
	app.write(&b, accountApp, "jetstream: enabled")
	people.write(&b, accountUsers, fmt.Sprintf("mappings: {%q: %q}", "$JS."+string(cfg.Site)+".API.>", subjects.API+".>"))
	b.WriteString(links.String())
	b.WriteString("}\n")
	return b.String()
}

// write adds the account to a configuration; setting is one more line of it, or empty.
func (a *account) write(b *strings.Builder, name, setting string) {
	fmt.Fprintf(b, "  %s {\n    %s\n", quote(name), setting)
	for _, part := range []struct {
		name  string
		lines []string
	}{{"exports", a.exports}, {"imports", a.imports}, {"users", a.users}} {
		fmt.Fprintf(b, "    %s: [\n", part.name)
		for _, line := range part.lines {
			b.WriteString("      " + line + "\n")
		}
		b.WriteString("    ]\n")
	}
	b.WriteString("  }\n")
}

// users are the users of the site's services: each with its role's permissions,
// or one that may do everything.
func (cfg ServerConfig) users() (out []string) {
	const local = "allowed_connection_types: [STANDARD, IN_PROCESS]"
	if cfg.Credentials == nil {
		return []string{fmt.Sprintf("{user: %s, password: %[1]s, %s}", quote(openUser), local)}
	}
	for _, s := range subjects.Services() {
		if u, ok := cfg.Credentials.Users[s]; ok {
			p := Permissions(s, cfg.Site, cfg.peers()...)
			out = append(out, fmt.Sprintf("{user: %s, password: %s, %s, %s}", quote(u.User), quote(u.Password), local, p.text()))
		}
	}
	return out
}

// text gives the permission in the words of the server's configuration.
func (p Permission) text() string {
	rule := func(allow []string) string {
		if len(allow) == 0 {
			return "{deny: [\">\"]}"
		}
		return "{allow: " + list(allow) + "}"
	}
	return fmt.Sprintf("permissions: {publish: %s, subscribe: %s}", rule(p.Publish), rule(p.Subscribe))
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

func list(ss []string) string {
	out := slices.Clone(ss)
	for i, s := range out {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
