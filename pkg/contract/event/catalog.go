package event

// Catalog is every payload there is, as pointers to zero values.
func Catalog() []Payload {
	return []Payload{
		&CaptureMark{}, &CaptureSynced{}, &CaptureStateChanged{}, &CaptureProgress{}, &CaptureAlarm{},
		&JobApply{}, &JobDelete{}, &JobRun{}, &JobStop{}, &JobApplied{}, &JobStarted{}, &JobStopped{}, &JobDeleted{}, &JobAlarm{},
		&SiteApply{}, &SiteDelete{}, &SiteApplied{}, &SiteDeleted{},
		&PointTag{}, &PointPin{}, &PointDelete{}, &PointCreated{}, &PointChanged{},
		&HorizonMoved{}, &JournalStateChanged{}, &JournalAlarm{},
		&RPOMeasured{}, &RPOBreached{}, &RPORestored{},
		&FailoverStart{}, &FailoverCleanup{}, &FailoverUndo{}, &FailoverCommit{}, &FailoverStep{}, &FailoverFinished{}, &FailoverWindowEnding{},
		&PlanApply{}, &PlanDelete{}, &PlanRun{}, &PlanControl{}, &PlanTrigger{}, &PlanApplied{}, &PlanDeleted{}, &PlanStarted{}, &PlanAction{}, &PlanFinished{}, &PlanTriggered{}, &PlanChecked{},
		&VCenterMemberChanged{}, &VCenterAlarm{}, &VCenterTransporterChanged{}, &VCenterFilterChanged{},
		&CommandRefused{},
	}
}

// Typed decodes the payload of any event in the catalogue.
func (e Event) Typed() (Payload, error) {
	for _, p := range Catalog() {
		if p.EventType() == e.Type {
			return p, e.Into(p)
		}
	}
	return nil, bad("type", "%q: there is no such command or event", e.Type)
}
