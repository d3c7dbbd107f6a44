package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
)

// bundle is a server of a filter's offline bundle, as an operator's web server
// would be: what `tidemark iofilter install --bundle URL` is given.
type bundle struct {
	srv *http.Server
	url string
	err chan error
}

func serveBundle() (*bundle, error) {
	zipped := vcsim.Bundle(filterVendor, filterName, filterVersion)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	name := filterName + "-" + filterVersion + ".zip"
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
