//go:build race

package clustertest

const (
	seedsDefault = 24 // the race detector makes each take several times as long
	bucketSeeds  = 0  // of imitated token buckets, which remember every token
)
