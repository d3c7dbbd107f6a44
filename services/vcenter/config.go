package vcenter

import "time"

// Config are the service's settings; zero values mean the defaults.
type Config struct {
	// Patience is how long a request waits for work before it returns its progress,
	// to be asked again. Default 2 s.
	Patience time.Duration
	// Longest is how long one piece of work may take. Default 2 h.
	Longest time.Duration
	// Beat is the interval at which a job on VMs is reconciled. Default 5 s.
	Beat time.Duration
	// RoundFor is how long a round waits for all of its VMs. Later rounds continue
	// without those that take longer. Default 30 s.
	RoundFor time.Duration
	// LookFor is how long reconciling one VM may take. Default 15 min.
	LookFor time.Duration
	// Retry is the longest pause between rounds while they fail. Default 1 min.
	Retry time.Duration
	// CacheFor is how old a cached inventory may be. Default 5 s.
	CacheFor time.Duration
	// DeviceWait is how long the device of an attached disk may take to appear.
	// Default 1 min.
	DeviceWait time.Duration
	// CheckEvery is the interval at which a VM's checks are repeated. Default 2 s.
	CheckEvery time.Duration
	// CheckTimeout is for jobs that set none. Default 5 min.
	CheckTimeout time.Duration
	// GuestWait is how long a started guest's VMware Tools may take to answer, before a
	// failover goes on without the guest's addresses. Default 5 min.
	GuestWait time.Duration
	// LateFor is how long after a call its effect may still appear, if the caller died.
	// Default 2 min.
	LateFor time.Duration
	// TapWait is how long an attached I/O filter may take to send its first writes.
	// Default 30 s.
	TapWait time.Duration
	// AnswerWait is how long a new transporter may take to answer. Default 15 min.
	AnswerWait time.Duration
}

func (c Config) withDefaults() Config {
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	def(&c.Patience, 2*time.Second)
	def(&c.Longest, 2*time.Hour)
	def(&c.Beat, 5*time.Second)
	def(&c.RoundFor, 30*time.Second)
	def(&c.LookFor, 15*time.Minute)
	def(&c.Retry, time.Minute)
	def(&c.CacheFor, 5*time.Second)
	def(&c.DeviceWait, time.Minute)
	def(&c.CheckEvery, 2*time.Second)
	def(&c.CheckTimeout, 5*time.Minute)
	def(&c.GuestWait, 5*time.Minute)
	def(&c.LateFor, 2*time.Minute)
	def(&c.TapWait, 30*time.Second)
	def(&c.AnswerWait, 15*time.Minute)
	return c
}
