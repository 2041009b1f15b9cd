package ledger

import (
	"errors"
	"sync"
	"time"
)

// Zones are the time zones that a limiter has met, by name. It is safe for concurrent use, and
// holds no more than there are zones.
type Zones struct {
	byName sync.Map // string to *time.Location
}

// Zone finds a zone of the IANA database, "" being UTC. The zone of the machine is none: it would be
// another one on the next.
func (z *Zones) Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if loc, ok := z.byName.Load(name); ok {
		return loc.(*time.Location), nil
	}
	loc, err := LoadZone(name)
	if err == nil {
		z.byName.Store(name, loc)
	}
	return loc, err
}

// LoadZone is Zone without a memory.
func LoadZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New("is the machine's own, which another node may not have")
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, errors.New("is not a time zone that this system knows")
	}
	return loc, nil
}
