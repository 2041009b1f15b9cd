// Package netnslab makes small networks of Linux network namespaces, and breaks them.
//
// A test, in order: it calls [New], which puts each host into a namespace of its own and
// joins them by bridges in one more; it runs programs on the hosts ([Lab.Command]) and
// talks to them from there ([Lab.Dial]); it breaks the network between two sides
// ([Lab.Cut]), watches, and mends it ([Lab.Mend]); and it calls [Lab.Close].
//
// Nothing in the machine's own namespace is touched. A lab needs root and the ip command
// (Debian's iproute2), some cuts need iptables too; there is nothing for systems other
// than Linux.
//
// A lab never outlives its process. Beside it runs a janitor, a shell that waits for the
// end of its standard input: that is Close, or a panic, or a SIGKILL. It then kills what
// still runs on the hosts and removes the namespaces. If even the janitor was killed, the
// next lab removes what it finds of processes that are gone.
package netnslab
