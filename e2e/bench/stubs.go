package main

const plantCommand = "plant"

func plantMain(string)              {}
func benchPermanent(b *Bench) error { return nil }
func benchInline(b *Bench) error    { return nil }
func benchTap(b *Bench) error       { return nil }
func benchMemory(b *Bench) error    { return nil }
