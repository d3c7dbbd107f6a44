module tidemark.dev/e2e

go 1.26.0

replace tidemark.dev/schemas => ../schemas

replace tidemark.dev/pkg => ../pkg

replace tidemark.dev/services => ../services
