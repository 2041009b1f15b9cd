package cluster

// SetLap lets f hear of each lap of a node's loop: f is called when it begins, and what it
// returns when it ends.
func SetLap(c *Config, f func() func()) { c.lap = f }
