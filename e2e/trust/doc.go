// Package trust attacks sites over real connections, by kind, with the credentials of
// every role.
//
//	TestNobodyMakesStreams    every verb of the JetStream API, with every option that
//	                          moves messages, at every stream
//	TestOnlyCallersAreHeard   every endpoint of every service, by every role
//	TestAnswersGoToInboxes    answers that a caller wants somewhere else
//	TestAnswersGoToThoseWhoMayAsk  answers of every endpoint, wanted in the inbox of
//	                          every role that may not ask for it
//	TestARoleAnswersItselfNowhere  a role that would write anywhere by answering itself
//	TestTheServersAnswersReachNoStream  answers of the server itself, to everything
//	                          that each role may send, wanted in streams and by JetStream
//	TestWhatAPeerCanGrowIsBounded  copies and commands
//	TestRansomware            a whole company, whose source site and passwords are the
//	                          attacker's, and whose points are locked
//	TestWithoutALockTheSameAttackDestroys  its control: the lock is what holds
//	TestAHoleIsFound          the control: a hole that is opened on purpose is found
//
// What the key of a link alone can do is attacked in pkg/adapter/bus,
// TestTheKeyOfALinkAlone.
package trust
