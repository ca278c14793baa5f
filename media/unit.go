package media

// A Packet is one RTP packet (or, in [CarriageFrames], one sample) where it was
// received.
type Packet struct {
	Range            // the packet, from its RTP header on
	Header    uint16 // bytes from the packet's start to its payload
	Payload   uint32 // bytes of payload, padding left out
	Seq       uint16 // RTP sequence number
	Timestamp uint32 // RTP timestamp
	Marker    bool
	Front     uint8 // bytes before the packet that are its frame's: see [Opened]
}

// Body returns the range of p's payload.
func (p Packet) Body() Range { return Range{p.Off + uint64(p.Header), p.Payload} }

// UnitFlags tell what is known of a [Unit].
type UnitFlags uint8

// The flags of a unit.
const (
	UnitKey           UnitFlags = 1 << iota // decoding can start here (IDR, CRA, BLA); set on video units only
	UnitDamaged                             // packets are missing before its end: a decoder would show rubbish
	UnitDiscontinuity                       // time or parameters jump before this unit: source restarted, codec changed
)

// A Unit is what the consumers of a stream walk: the packets of one picture, or
// of one run of audio, in the order in which units were completed.
type Unit struct {
	Flow       uint8 // index of the RTP flow; equals the track's index in CarriageRTP and CarriageFrames
	Flags      UnitFlags
	First, End uint64 // its packets are numbers First to End-1 of that flow
	PTS        Ticks  // presentation time
	DTS        Ticks  // decoding time; equals PTS where no picture is reordered
	Wall       int64  // wall clock of its first packet's arrival (of its recording, in playback), Unix nanoseconds

	low uint64 // ring position before which it has no bytes
}

// Key reports whether decoding can start at u.
func (u Unit) Key() bool { return u.Flags&UnitKey != 0 }

// An AccessUnit is one picture, or one frame or run of frames of audio, of one
// track, as ranges of the ring: the elementary stream whatever the carriage was.
// It is valid until the unit it was unpacked from is overwritten.
type AccessUnit struct {
	Track   uint8 // index into Stream.Tracks
	Codec   Codec
	Flags   UnitFlags
	PTS     Ticks
	DTS     Ticks
	NALs    []NAL   // video: the NAL units in decoding order, without start codes or lengths
	Payload []Range // audio: the frame's bytes in order (AAC: raw, without ADTS header; G.711: samples)
}

// Key reports whether decoding can start at a.
func (a *AccessUnit) Key() bool { return a.Flags&UnitKey != 0 }

// A NAL is one NAL unit: Head[:HeadLen], which is not in the ring (a
// fragmentation unit's header, rebuilt), then Body in order.
type NAL struct {
	Head    [2]byte
	HeadLen uint8
	Type    uint8  // nal_unit_type of the codec
	Size    uint32 // bytes in all
	Body    []Range
}

// An Unpacker turns the packets of a unit into access units. It is owned by the
// stream's owner and may keep state from unit to unit (a program stream map),
// but must give the same answer for the same unit while that state is unchanged.
type Unpacker interface {
	// Unpack appends the access units of u to b. Damage is flagged in the access
	// units, not returned; an error means that nothing could be used.
	Unpack(s *Stream, u Unit, b *Batch) error
}
