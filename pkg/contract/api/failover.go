package api

// FailoverStart is the endpoint of failover that starts a run and answers with a
// refusal or not at all: failoverrun.Request -> Empty.
const FailoverStart = "start"
