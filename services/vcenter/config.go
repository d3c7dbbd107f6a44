package vcenter

import "time"

// Config are the service's settings; zero values mean the defaults.
type Config struct {
	// Patience is how long an answer is waited for before the asker is told to
	// ask again. Default 2 s.
	Patience time.Duration
	// Longest is how long any one piece of work may take. Default 2 h.
	Longest time.Duration
	// Beat is how often a job on VMs is looked at. Default 5 s.
	Beat time.Duration
	// RoundFor is how long a job waits for all its VMs before it looks again at
	// those that are done. Default 30 s.
	RoundFor time.Duration
	// LookFor is how long one look at one VM may take. Default 15 min.
	LookFor time.Duration
	// Retry is the longest wait between looks while they fail. Default 1 min.
	Retry time.Duration
	// CacheFor is how old an inventory may be. Default 5 s.
	CacheFor time.Duration
	// DeviceWait is how long an attached disk may take to show up. Default 1 min.
	DeviceWait time.Duration
	// CheckEvery is the pause between two tries of a VM's checks. Default 2 s.
	CheckEvery time.Duration
	// CheckTimeout of a job that does not say. Default 5 min.
	CheckTimeout time.Duration
	// LateFor is how long after it was made a call whose caller died may still have
	// its effect. Default 2 min.
	LateFor time.Duration
	// TapWait is how long an I/O filter that was attached may take until it tells
	// writes. Default 30 s.
	TapWait time.Duration
	// AnswerWait is how long a new transporter may take to be heard. Default 15 min.
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
	def(&c.LateFor, 2*time.Minute)
	def(&c.TapWait, 30*time.Second)
	def(&c.AnswerWait, 15*time.Minute)
	return c
}
