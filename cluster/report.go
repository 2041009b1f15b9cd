package cluster

import (
	"context"
	"log/slog"
	"slices"
)

// What an operator reads of the members: one line for each change, and it is true.

// reportMembers tells what the step from one view to the next means. restarted are nodes
// that have new processes.
func (n *Node) reportMembers(old, v *view, restarted []string) {
	was, is := old.table.Members(), v.table.Members()
	restarted = slices.DeleteFunc(restarted, func(name string) bool { return !slices.Contains(was, name) || !slices.Contains(is, name) })
	if slices.Equal(was, is) && len(restarted) == 0 {
		return
	}
	args := []any{"live", len(is), "known", v.sets.Base}
	level := slog.LevelInfo
	some := func(what string, names []string) {
		if len(names) > 0 {
			args = append(args, what, names)
		}
	}
	var joined, left, lost []string
	for _, name := range is {
		if name != n.cfg.Name && !slices.Contains(was, name) && !slices.Contains(restarted, name) {
			joined = append(joined, name)
		}
	}
	for _, name := range was {
		switch m := n.members.Get(name); {
		case slices.Contains(is, name):
		case name == n.cfg.Name || m == nil || m.Leaving:
			left = append(left, name)
		default:
			lost, level = append(lost, name), slog.LevelWarn
		}
	}
	some("joined", joined)
	some("restarted", restarted)
	some("left", left)
	some("lost", lost)
	n.log.Log(context.Background(), level, "members", append(args, "names", is)...)
}
