//go:build !race

package clustertest

const seedsDefault = 200
