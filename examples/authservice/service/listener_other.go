//go:build !linux

package service

import "context"

// quiesce is for systems on which a listener cannot be told to let nobody new in.
func (listener) quiesce(context.Context) {}
