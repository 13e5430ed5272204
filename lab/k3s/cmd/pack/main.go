// pack PROGRAM DIR OUT makes a self-unpacking k3s of a program and a directory of programs. It is part of the build.
package main

import (
	"fmt"
	"os"

	"lab/k3s/internal/payload"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: pack PROGRAM DIR OUT")
		os.Exit(2)
	}
	if err := payload.Pack(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}
