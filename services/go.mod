module tidemark.dev/services

go 1.26.0

replace tidemark.dev/schemas => ../schemas

replace tidemark.dev/pkg => ../pkg
