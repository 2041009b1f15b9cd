// Package report turns measured numbers into what a reader sees: a [Histogram] into
// percentiles, [Samples] of several rounds into a median with its range, rows of them
// into a Markdown [Table] with ratios, and curves into an SVG [Chart]. It measures
// nothing, and knows nothing of limiters.
package report
