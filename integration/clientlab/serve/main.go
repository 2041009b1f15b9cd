// Command serve runs the client laboratory for tests in other languages: it prints one
// line, the URL, and ends when its standard input does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/weir-go/weir/integration/clientlab"
)

func main() {
	quota := flag.Int64("quota", 20, "requests per window")
	window := flag.Duration("window", 8*time.Second, "the window")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	lab, err := clientlab.Start(ctx, clientlab.Config{Quota: *quota, Window: *window})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(lab.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // whoever started this is gone, or done
	lab.Close()
}
