package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// filterID is the I/O filter that the lab has a bundle of.
const filterID = "tidemark"

// bundle is a server of a filter's offline bundle, as an operator's web server
// would be: what `tidemark iofilter install --bundle URL` is given.
type bundle struct {
	srv *http.Server
	url string
	err chan error
}

func serveBundle() (*bundle, error) {
	zipped, err := zipBundle()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	name := filterID + "-filter.zip"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(zipped))
	})
	b := &bundle{srv: &http.Server{Handler: mux}, url: fmt.Sprintf("http://%s/%s", l.Addr(), name), err: make(chan error, 1)}
	go func() { b.err <- b.srv.Serve(l) }()
	return b, nil
}

func (b *bundle) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := b.srv.Shutdown(ctx)
	if e := <-b.err; !errors.Is(e, http.ErrServerClosed) {
		return errors.Join(err, e)
	}
	return err
}

// zipBundle is an offline bundle in the form that hosts take: an index, the
// vendor's metadata, and a package. What a filter does in a host is done in the
// lab by a tap, so the package says no more than its name.
func zipBundle() ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range []struct{ name, text string }{
		{"index.xml", "<vendorList><vendor><name>Tidemark</name><code>TDM</code><content><type>http://www.vmware.com/depotmanagement/esx</type></content><relativePath>vendor-index.xml</relativePath></vendor></vendorList>\n"},
		{"vendor-index.xml", "<metaList><metadata><productId>embeddedEsx</productId><version>8.*</version><url>metadata.zip</url></metadata></metaList>\n"},
		{"vib20/" + filterID + "/descriptor.xml", "<vib version=\"5.0\"><type>bootbank</type><name>" + filterID + "</name><version>1.0.0</version><vendor>TDM</vendor></vib>\n"},
	} {
		w, err := z.Create(f.name)
		if err == nil {
			_, err = w.Write([]byte(f.text))
		}
		if err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}
