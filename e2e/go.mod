module tidemark.dev/e2e

go 1.26.0

replace tidemark.dev/schemas => ../schemas

replace tidemark.dev/pkg => ../pkg

replace tidemark.dev/services => ../services

replace google.golang.org/genproto => google.golang.org/genproto v0.0.0-20261019180522-ce908d29299b
