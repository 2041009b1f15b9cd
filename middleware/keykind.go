package middleware

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
)

// ClientIP is the client's address as the policy's [Address] finds it: the socket's peer,
// unless proxies are trusted. IPv6 counts by prefix, unless it stands for IPv4.
func ClientIP() Key {
	return Key{name: "client-ip", word: addressOf, bind: func(bd binding) (appendSubject, error) {
		bd.reads.header(bd.policy.Address.names()...)
		return bd.policy.clientIP, nil
	}}
}

// ClientIPBy is [ClientIP] with an Address of its own instead of the policy's.
func ClientIPBy(a Address) Key {
	bind := sync.OnceValues(a.bind) // not for each pattern of a route anew
	own := func(_ Address, word string) (string, error) { return addressOf(a, word) }
	return Key{name: "client-ip", word: own, bind: func(bd binding) (appendSubject, error) {
		bd.reads.header(a.names()...)
		subject, err := bind()
		if err != nil {
			_, err = a.bind() // an error is completed by whoever gets it
			return nil, within("client-ip", err)
		}
		return subject, nil
	}}
}

// PeerIP is the address of the socket's peer, whatever the policy trusts. IPv6 counts by /64.
func PeerIP() Key {
	own := func(_ Address, word string) (string, error) { return addressOf(Address{}, word) }
	return Key{name: "peer-ip", word: own, bind: func(binding) (appendSubject, error) { return Address{}.bind() }}
}

// Header is the value of a request header: the first, where there are several, as
// [http.Header.Get] gives it to handlers. Clients choose it freely unless something
// before the middleware checks it.
func Header(name string) Key {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	return Key{name: "header " + canonical, bind: func(bd binding) (appendSubject, error) {
		if !isToken(name) {
			return nil, fmt.Errorf("%q is not a header name", name)
		}
		bd.reads.header(canonical)
		return func(b []byte, r *http.Request) ([]byte, bool) {
			v := first(r, canonical)
			return append(b, v...), v != ""
		}, nil
	}}
}

// first is the first value of a header whose canonical name is given.
func first(r *http.Request, canonical string) string {
	if v := r.Header[canonical]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Cookie is the value of a cookie: the first of that name.
func Cookie(name string) Key {
	return Key{name: "cookie " + name, bind: func(bd binding) (appendSubject, error) {
		if !isToken(name) {
			return nil, fmt.Errorf("%q is not a cookie name", name)
		}
		bd.reads.header("Cookie")
		return func(b []byte, r *http.Request) ([]byte, bool) {
			c, err := r.Cookie(name)
			if err != nil || c.Value == "" {
				return b, false
			}
			return append(b, c.Value...), true
		}, nil
	}}
}

// Bearer is the bearer token of the Authorization header (RFC 6750), hashed: the token
// itself is in no key, event or log.
func Bearer() Key {
	hashed := func(_ Address, token string) (string, error) { return BearerSubject(token), nil }
	return Key{name: "bearer", word: hashed, bind: func(bd binding) (appendSubject, error) {
		bd.reads.header("Authorization")
		return appendBearer, nil
	}}
}

// appendBearer is the subject by Bearer.
func appendBearer(b []byte, r *http.Request) ([]byte, bool) {
	const scheme = "Bearer "
	v := first(r, "Authorization")
	if len(v) <= len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return b, false
	}
	// All spellings of one token are one subject, or each would have a budget.
	token := strings.Trim(v[len(scheme):], " \t")
	if token == "" {
		return b, false
	}
	sum := sha256.Sum256([]byte(token))
	return append(b, sum[:]...), true
}

// Claim is a claim of the authenticated caller, found by the policy's Claims function.
func Claim(name string) Key {
	return Key{name: "claim " + name, bind: func(bd binding) (appendSubject, error) {
		claims := bd.policy.Claims
		if claims == nil {
			return nil, errors.New("the policy has no Claims function")
		}
		if name == "" {
			return nil, errors.New("the claim's name is empty")
		}
		bd.reads.context()
		return func(b []byte, r *http.Request) ([]byte, bool) {
			v, ok := claims(r.Context(), name)
			return append(b, v...), ok && v != ""
		}, nil
	}}
}

// Subject is the claim "sub": the user of a verified token.
func Subject() Key { return Claim("sub") }

// PathValue is the part of the path that matched the wildcard {name} of the route's
// pattern, unescaped. It works before any mux has seen the request, and finds the same
// value in every spelling of the path that the route is found by.
func PathValue(name string) Key {
	return Key{name: "path " + name, bind: func(bd binding) (appendSubject, error) {
		s := shapeOf(bd.pattern)
		if !s.has(name) {
			return nil, fmt.Errorf("pattern %q has no wildcard {%s}", bd.pattern, name)
		}
		most := len(s.segments) + 1
		if name == s.rest {
			most += restMost
		}
		return func(b []byte, r *http.Request) ([]byte, bool) {
			var v string
			eachReading(r, most, func(rd reading) bool {
				v, _ = s.value(rd, name)
				return v == ""
			})
			return append(b, v...), v != ""
		}, nil
	}}
}

// restMost is how many segments the value of a wildcard for the rest of a path has at most;
// a path of more is a client's mischief, and shares the budget of those that begin alike.
const restMost = 256

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
