package limiter

import "time"

func bucket(quota int64, window time.Duration, burst int64) Limit {
	return Limit{Quota: quota, Window: window, Burst: burst, Algorithm: TokenBucket}
}

func sliding(quota int64, window time.Duration) Limit {
	return Limit{Quota: quota, Window: window, Algorithm: SlidingWindow}
}
