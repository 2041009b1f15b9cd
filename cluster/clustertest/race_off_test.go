//go:build !race

package clustertest

const (
	seedsDefault = 200
	bucketSeeds  = 10 // of imitated token buckets, which remember every token
)
