package nbd

// Magic numbers.
const (
	magicServer     = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption     = 0x49484156454f5054 // "IHAVEOPT"
	magicOptReply   = 0x0003e889045565a9
	magicRequest    = 0x25609513
	magicSimple     = 0x67446698
	magicStructured = 0x668e33ef
)

// Handshake flags: the server's and the client's have the same values.
const (
	flagFixedNewstyle = 1 << 0
	flagNoZeroes      = 1 << 1
)

// Options a client sends during the handshake.
const (
	optExportName      = 1
	optAbort           = 2
	optList            = 3
	optStartTLS        = 5
	optInfo            = 6
	optGo              = 7
	optStructuredReply = 8
	optListMeta        = 9
	optSetMeta         = 10
)

// Option reply types; errors have the top bit set.
const (
	repAck    = 1
	repServer = 2
	repInfo   = 3
	repMeta   = 4

	repErr             = 1 << 31
	repErrUnsup        = repErr + 1
	repErrPolicy       = repErr + 2
	repErrInvalid      = repErr + 3
	repErrTLSReqd      = repErr + 5
	repErrUnknown      = repErr + 6
	repErrShutdown     = repErr + 7
	repErrBlockSizeReq = repErr + 8
	repErrTooBig       = repErr + 9
)

// Information types inside INFO and GO.
const (
	infoExport      = 0
	infoName        = 1
	infoDescription = 2
	infoBlockSize   = 3
)

// Transmission flags of an export.
const (
	transHasFlags  = 1 << 0
	transReadOnly  = 1 << 1
	transFlush     = 1 << 2
	transFUA       = 1 << 3
	transTrim      = 1 << 5
	transZeroes    = 1 << 6
	transDF        = 1 << 7
	transMultiConn = 1 << 8
	transCache     = 1 << 10
	transFastZero  = 1 << 11
)

// Commands of the transmission phase.
const (
	cmdRead        = 0
	cmdWrite       = 1
	cmdDisc        = 2
	cmdFlush       = 3
	cmdTrim        = 4
	cmdCache       = 5
	cmdWriteZeroes = 6
	cmdBlockStatus = 7
)

// Command flags.
const (
	cmdFlagFUA      = 1 << 0
	cmdFlagNoHole   = 1 << 1
	cmdFlagDF       = 1 << 2
	cmdFlagReqOne   = 1 << 3
	cmdFlagFastZero = 1 << 4
)

// Structured reply chunks.
const (
	chunkDone = 1 << 0 // flag: the last chunk of a reply

	chunkNone        = 0
	chunkOffsetData  = 1
	chunkOffsetHole  = 2
	chunkBlockStatus = 5
	chunkErrBit      = 1 << 15
	chunkError       = chunkErrBit + 1
)

// States of the base:allocation context.
const (
	contextAllocation = "base:allocation"
	contextID         = 1 // the server chooses the number

	stateHole = 1 << 0
	stateZero = 1 << 1
)

// Sizes on the wire, in bytes.
const (
	requestLen       = 28
	simpleLen        = 16
	chunkLen         = 20 // header of a structured reply chunk
	optionLen        = 16
	maxName          = 4096 // the protocol's limit for any string
	maxOption        = 64 << 10
	exportNameZeroes = 124
)

// Block size constraints, in bytes.
const (
	defaultMinBlock = 512
	preferredBlock  = 4096
	maxMinBlock     = 64 << 10
	maxRequest      = 64 << 20
)
