package grpclimit

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-go/weir/middleware"
)

// sent are the names of what a policy sends, as HTTP and as metadata have them. What only means
// something to HTTP is left out.
var sent = [...]struct{ header, metadata string }{
	{"X-Ratelimit-Limit", "x-ratelimit-limit"}, {"X-Ratelimit-Remaining", "x-ratelimit-remaining"},
	{"X-Ratelimit-Reset", "x-ratelimit-reset"}, {"X-Ratelimit-Degraded", "x-ratelimit-degraded"},
	{"Ratelimit", "ratelimit"}, {"Ratelimit-Policy", "ratelimit-policy"},
	{"Retry-After", "retry-after"}, {"X-Request-Id", "x-request-id"},
}

// headers are the limit headers as metadata.
func headers(o middleware.Outcome) metadata.MD {
	if three := o.XRateLimit(); three != nil { // nearly always
		md := make(metadata.MD, len(three))
		for i := range three {
			md[sent[i].metadata] = three[i : i+1 : i+1]
		}
		return md
	}
	if len(o.Header()) == 0 {
		return nil
	}
	md := make(metadata.MD, len(o.Header())+1)
	for i := range sent {
		if v, ok := o.Header()[sent[i].header]; ok {
			md[sent[i].metadata] = v
		}
	}
	return md
}

// refusal is the error of a refused call.
func refusal(v middleware.Refusal) error {
	code := codes.PermissionDenied
	var details []protoadapt.MessageV1
	switch v.Status {
	case http.StatusTooManyRequests:
		code = codes.ResourceExhausted
		quota := &errdetails.QuotaFailure{}
		for _, rule := range v.Rules {
			quota.Violations = append(quota.Violations, &errdetails.QuotaFailure_Violation{Subject: "rule:" + rule, Description: v.Message})
		}
		details = append(details, quota)
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	}
	if v.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(v.RetryAfter) * time.Second)})
	}
	details = append(details, &errdetails.RequestInfo{RequestId: v.RequestID}, &errdetails.ErrorInfo{Reason: v.Code, Domain: "weir"})
	st, err := status.New(code, v.Message).WithDetails(details...)
	if err != nil {
		return status.Error(code, v.Message) // without details: cannot happen
	}
	return st.Err()
}

// pushbackKey is the trailer by which a server tells gRPC's own retries when to come back.
const pushbackKey = "grpc-retry-pushback-ms"

// trailer is the limit headers of a refused call, and when to come back: never where waiting
// does not help.
func trailer(o middleware.Outcome) metadata.MD {
	ms := int64(-1)
	if o.Refusal.RetryAfter > 0 {
		ms = o.Refusal.RetryAfter * 1000
	}
	md := headers(o)
	if md == nil {
		md = make(metadata.MD, 1)
	}
	md[pushbackKey] = []string{strconv.FormatInt(ms, 10)}
	return md
}

// httpStatuses are what codes stand for, as google.rpc.Code tells.
var httpStatuses = [...]int{
	codes.OK: 200, codes.Canceled: 499, codes.Unknown: 500, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504,
	codes.NotFound: 404, codes.AlreadyExists: 409, codes.PermissionDenied: 403, codes.ResourceExhausted: 429,
	codes.FailedPrecondition: 400, codes.Aborted: 409, codes.OutOfRange: 400, codes.Unimplemented: 501,
	codes.Internal: 500, codes.Unavailable: 503, codes.DataLoss: 500, codes.Unauthenticated: 401,
}

// httpStatus is the status that a handler's error stands for, as the client would get it.
func httpStatus(err error, panicked bool) int {
	switch {
	case panicked:
		return http.StatusInternalServerError
	case err == nil:
		return http.StatusOK
	}
	code := status.Code(err)
	if code == codes.Unknown && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		code = status.FromContextError(err).Code()
	}
	if int(code) < len(httpStatuses) {
		return httpStatuses[code]
	}
	return http.StatusInternalServerError
}

// retryAfter is how long an error says to wait.
func retryAfter(err error) (time.Duration, bool) {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok && info.GetRetryDelay().IsValid() && info.GetRetryDelay().AsDuration() >= 0 {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

// pushedBack is what a trailer says: ok is false without one; never says not to come back.
func pushedBack(trailer metadata.MD) (wait time.Duration, never, ok bool) {
	v := trailer[pushbackKey]
	if len(v) == 0 {
		return 0, false, false
	}
	ms, err := strconv.ParseUint(strings.TrimSpace(v[0]), 10, 31)
	if err != nil {
		return 0, true, true // negative or unreadable: as gRPC itself takes it
	}
	return time.Duration(ms) * time.Millisecond, false, true
}
