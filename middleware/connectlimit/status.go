package connectlimit

import (
	"context"
	"errors"
	"net/http"

	"connectrpc.com/connect"
)

// statusCanceled is what logs know as "client closed request".
const statusCanceled = 499

// statuses are what codes stand for, by the Connect protocol.
var statuses = map[connect.Code]int{
	connect.CodeCanceled: statusCanceled, connect.CodeUnknown: 500, connect.CodeInvalidArgument: 400, connect.CodeDeadlineExceeded: 504,
	connect.CodeNotFound: 404, connect.CodeAlreadyExists: 409, connect.CodePermissionDenied: 403, connect.CodeResourceExhausted: 429,
	connect.CodeFailedPrecondition: 400, connect.CodeAborted: 409, connect.CodeOutOfRange: 400, connect.CodeUnimplemented: 501,
	connect.CodeInternal: 500, connect.CodeUnavailable: 503, connect.CodeDataLoss: 500, connect.CodeUnauthenticated: 401,
}

// httpStatus is the status that a handler's error stands for.
func httpStatus(err error, panicked bool) int {
	switch {
	case panicked:
		return http.StatusInternalServerError
	case err == nil:
		return http.StatusOK
	}
	var coded *connect.Error
	switch {
	case errors.As(err, &coded):
	case errors.Is(err, context.Canceled):
		return statusCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	if status, ok := statuses[connect.CodeOf(err)]; ok {
		return status
	}
	return http.StatusInternalServerError
}
