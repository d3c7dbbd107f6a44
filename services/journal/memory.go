package journal

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Memory is what the journals of a process may take together, however many
// groups there are and however much comes at once. What does not fit waits on
// the bus, and in the source's window and spool.
type Memory struct {
	frames *semaphore.Weighted // bytes of frames between the bus and the disk
	most   int64               // of frames
	moves  *semaphore.Weighted // moves of base and horizon at a time
	step   int                 // bytes of content of one step of a move
}

// NewMemory shares out so many bytes: an eighth for frames, a quarter for moves,
// of which a step needs about twice its content; the rest is for what is not
// counted, such as the stores' own memory.
func NewMemory(bytes int64) *Memory {
	step := min(16<<20, max(1<<20, bytes/256))
	frames := max(8<<20, bytes/8)
	return &Memory{
		frames: semaphore.NewWeighted(frames), most: frames,
		moves: semaphore.NewWeighted(max(2, bytes/4/(2*step))), step: int(step),
	}
}

// account is what one run of a pipeline has of the memory for frames.
type account struct {
	of   *Memory
	held atomic.Int64
}

// take waits for room for a frame of n bytes. One that is larger than all there
// is waits for all.
func (a *account) take(ctx context.Context, n int) error {
	want := min(int64(n), a.of.most)
	if err := a.of.frames.Acquire(ctx, want); err != nil {
		return err
	}
	a.held.Add(want)
	return nil
}

// give gives back the room of a frame of n bytes.
func (a *account) give(n int) {
	had := min(int64(n), a.of.most)
	a.held.Add(-had)
	a.of.frames.Release(had)
}

// close gives back what is left, of frames that nobody handles any more.
func (a *account) close() {
	a.of.frames.Release(a.held.Swap(0))
}
