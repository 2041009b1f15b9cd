package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// childVariable makes this program, or its test binary, the other process of a
// measurement. Everything measured runs in such a child: in a process of its own, so
// that no contender meets the garbage, the heap or the threads of another.
const childVariable = "WEIR_BENCH_CHILD"

// request is one line that a child reads, reply one that it writes.
type request struct {
	Op   string
	Args json.RawMessage
}

type reply struct {
	Error  string `json:",omitempty"`
	Result any    `json:",omitempty"`
}

// child is a process that measures.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startChild starts one. It is killed when ctx ends, and ends by itself when this
// process does, since its standard input does.
func startChild(ctx context.Context) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	return &child{cmd: cmd, in: in, out: s}, nil
}

// close ends the process, and waits for it. It asks nothing of it: what a child
// holds ends with it.
func (c *child) close() {
	_ = c.in.Close()
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()         // says that it was killed
}

// ask has a child do something, and decodes what it answers.
func ask[T any](c *child, op string, args any) (result T, err error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	line, err := json.Marshal(request{op, raw})
	if err != nil {
		return result, err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return result, fmt.Errorf("%s: the process has ended: %w", op, err)
	}
	if !c.out.Scan() {
		return result, fmt.Errorf("%s: the process ended, or took too long", op)
	}
	r := reply{Result: &result}
	if err := json.Unmarshal(c.out.Bytes(), &r); err != nil {
		return result, fmt.Errorf("%s: %w", op, err)
	}
	if r.Error != "" {
		return result, errors.New(r.Error)
	}
	return result, nil
}

// serveChild is the child's side: it answers requests until there are no more.
func serveChild(in io.Reader, out io.Writer) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, 1<<20)
	enc := json.NewEncoder(out)
	var p process
	for s.Scan() {
		var req request
		if err := json.Unmarshal(s.Bytes(), &req); err != nil {
			return err
		}
		var r reply
		result, err := p.do(req)
		if r.Result = result; err != nil {
			r = reply{Error: err.Error()}
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return s.Err()
}
