package client

import "net/http"

// Client is an [http.Client] whose requests go through a [Transport]. Make it with
// [New]; then set Timeout, Jar and CheckRedirect as on any http.Client.
type Client struct {
	http.Client
	transport *Transport
}

// New returns a Client over t; nil means a Transport with its defaults.
func New(t *Transport) *Client {
	if t == nil {
		t = &Transport{}
	}
	return &Client{Client: http.Client{Transport: t}, transport: t}
}

// LastRateLimit returns what the headers of the last answer said. With requests in
// parallel it is the last that arrived; all of it is unknown before the first.
func (c *Client) LastRateLimit() RateLimit {
	if c.transport == nil {
		return RateLimit{}
	}
	return c.transport.LastRateLimit()
}
