package traffic

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"time"
)

// Serve offers a [Source] and [Sinks] at a Unix socket, to one caller, until that
// goes away.
func Serve(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer listener.Close()
	server := rpc.NewServer()
	for _, service := range []any{newSource(), &Sinks{}} {
		if err := server.Register(service); err != nil {
			return err
		}
	}
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	server.ServeConn(conn)
	return nil
}

// A Client is somebody who calls [Serve] in another process.
type Client struct{ rpc *rpc.Client }

// Dial connects to a process that serves at socket. It is tried again until
// ctx ends, since that process may be about to start.
func Dial(ctx context.Context, socket string) (*Client, error) {
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			return &Client{rpc.NewClient(c)}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to %s: %w", socket, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Close ends the connection, and with it the process that serves.
func (c *Client) Close() error { return c.rpc.Close() }

// call calls a method, and waits for it at most until ctx ends.
func call[A any](ctx context.Context, c *Client, method string, arg any) (answer A, err error) {
	done := c.rpc.Go(method, arg, &answer, make(chan *rpc.Call, 1)).Done
	select {
	case <-ctx.Done():
		return *new(A), ctx.Err() // the call may still write to the answer
	case r := <-done:
		if r.Error != nil {
			return answer, fmt.Errorf("%s: %w", method, r.Error)
		}
		return answer, nil
	}
}

// Listen is [Source.Listen].
func (c *Client) Listen(ctx context.Context, addr string) (string, error) {
	return call[string](ctx, c, "Source.Listen", addr)
}

// Sent is [Source.Read].
func (c *Client) Sent(ctx context.Context) (Sent, error) {
	return call[Sent](ctx, c, "Source.Read", Nothing{})
}

// Publish is [Source.Publish].
func (c *Client) Publish(ctx context.Context, urls []string) error {
	_, err := call[Nothing](ctx, c, "Source.Publish", urls)
	return err
}

// Open is [Sinks.Open].
func (c *Client) Open(ctx context.Context, r Request) error {
	_, err := call[Nothing](ctx, c, "Sinks.Open", r)
	return err
}

// Read is [Sinks.Read].
func (c *Client) Read(ctx context.Context, r Reading) (Receipt, error) {
	return call[Receipt](ctx, c, "Sinks.Read", r)
}

// Glance is [Sinks.Glance].
func (c *Client) Glance(ctx context.Context, r Request) (time.Duration, error) {
	return call[time.Duration](ctx, c, "Sinks.Glance", r)
}

// CloseReaders is [Sinks.Close].
func (c *Client) CloseReaders(ctx context.Context) ([]Sight, error) {
	return call[[]Sight](ctx, c, "Sinks.Close", Nothing{})
}
