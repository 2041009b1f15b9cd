package connectlimit

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-go/weir/middleware"
)

// xRateLimit are the headers of nearly every response.
var xRateLimit = [...]string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}

// show sets the limit headers of a response.
func show(resp interface{ Header() http.Header }, o middleware.Outcome) {
	three := o.XRateLimit()
	if three == nil {
		if limits := o.Header(); len(limits) > 0 {
			put(resp.Header(), limits)
		}
		return
	}
	h := resp.Header()
	for i := range three {
		h[xRateLimit[i]] = three[i : i+1 : i+1]
	}
}

// put sets headers.
func put(h, limits http.Header) {
	for name, values := range limits {
		h[name] = values
	}
}

// withHeaders is a handler's error with the limit headers. It is a copy: the handler's may be
// one for all calls.
func withHeaders(err error, limits http.Header) error {
	if len(limits) == 0 {
		return err
	}
	coded, cause := (*connect.Error)(nil), err
	code := connect.CodeOf(err)
	if errors.As(err, &coded) && coded != nil {
		cause = coded.Unwrap()
	} else if s := httpStatus(err, false); s == statusCanceled {
		code = connect.CodeCanceled
	} else if s == http.StatusGatewayTimeout {
		code = connect.CodeDeadlineExceeded
	}
	out := connect.NewError(code, cause)
	if coded != nil {
		for _, d := range coded.Details() {
			out.AddDetail(d)
		}
		put(out.Meta(), coded.Meta())
	}
	put(out.Meta(), limits)
	return out
}

// refusal is the error of a refused call.
func refusal(o middleware.Outcome) error {
	v, code := o.Refusal, connect.CodePermissionDenied
	var details []proto.Message
	switch v.Status {
	case http.StatusTooManyRequests:
		code = connect.CodeResourceExhausted
		quota := &errdetails.QuotaFailure{}
		for _, rule := range v.Rules {
			quota.Violations = append(quota.Violations, &errdetails.QuotaFailure_Violation{Subject: "rule:" + rule, Description: v.Message})
		}
		details = append(details, quota)
	case http.StatusServiceUnavailable:
		code = connect.CodeUnavailable
	}
	ms := int64(-1)
	if v.RetryAfter > 0 {
		ms = v.RetryAfter * 1000
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(v.RetryAfter) * time.Second)})
	}
	details = append(details, &errdetails.RequestInfo{RequestId: v.RequestID}, &errdetails.ErrorInfo{Reason: v.Code, Domain: "weir"})
	err := connect.NewError(code, errors.New(v.Message))
	for _, msg := range details {
		if d, wrong := connect.NewErrorDetail(msg); wrong == nil {
			err.AddDetail(d)
		}
	}
	put(err.Meta(), o.Header())
	err.Meta().Set("Grpc-Retry-Pushback-Ms", strconv.FormatInt(ms, 10))
	return err
}

// RetryAfter is how long a server's error says to wait, by its RetryInfo. ok is false where it says
// nothing: a wait does not help then.
func RetryAfter(err error) (wait time.Duration, ok bool) {
	var coded *connect.Error
	if !errors.As(err, &coded) {
		return 0, false
	}
	for _, d := range coded.Details() {
		msg, wrong := d.Value()
		if wrong != nil {
			continue
		}
		if info, is := msg.(*errdetails.RetryInfo); is && info.GetRetryDelay().IsValid() && info.GetRetryDelay().AsDuration() >= 0 {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}
