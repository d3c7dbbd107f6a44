module tidemark.dev/schemas

go 1.26
