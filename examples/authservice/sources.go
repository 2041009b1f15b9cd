package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// A client is who it comes from. On Linux all of 127.0.0.0/8 is this machine, so a
// demonstration can be as many clients as it likes, each with budgets of its own.

const sourcesMax = 40 // a quarter of the windows is too far gone; 40 in a row never are

// sources are the addresses from which requests to a URL can be sent; "" is whatever the
// system picks.
func sources(to string) (ips []string) {
	u, err := url.Parse(to)
	if err != nil {
		return []string{""}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err != nil || !ip.Is4() || !ip.IsLoopback() {
		return []string{""}
	}
	for i := range sourcesMax {
		ip := fmt.Sprintf("127.0.0.%d", 101+i)
		ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			return []string{""} // not Linux
		}
		ln.Close()
		ips = append(ips, ip)
	}
	return ips
}

// clientFrom sends from an address.
func clientFrom(ip string) *http.Client {
	d := &net.Dialer{}
	if ip != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(ip)}
	}
	return &http.Client{Timeout: tryTimeout, Transport: &http.Transport{
		DialContext: d.DialContext, MaxIdleConnsPerHost: tryWorkers,
	}}
}

// reachable is the address under which this machine reaches a listener.
func reachable(addr string) string {
	a, err := netip.ParseAddrPort(addr)
	if err != nil || !a.Addr().IsUnspecified() {
		return addr
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port()).String()
}
