package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/client"
)

// The README's code, letter by letter; integration compares the two.
func token(url string) error {
	c := client.New(&client.Transport{ErrorOnLimit: true})
	resp, err := c.Post(url+"/v1/token", "application/json", strings.NewReader(`{"code":"c","agentId":"a"}`))
	if limited, ok := errors.AsType[*client.RateLimitError](err); ok {
		return fmt.Errorf("%d of %d left, again in %v", limited.Remaining, limited.Limit, limited.RetryAfter)
	}
	if err != nil {
		return err
	}
	fmt.Println(resp.Status, c.LastRateLimit().Remaining, "left")
	return resp.Body.Close()
}

func TestReadmeCodeWorks(t *testing.T) {
	srv := tokensAfter(20, 3600) // more than the total, so nothing is waited for
	defer srv.Close()
	for range 20 {
		assert.NoError(t, token(srv.URL))
	}
	assert.EqualError(t, token(srv.URL), "0 of 20 left, again in 1h0m0s")
}
