package rtspserver

import (
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/ntp"
	"github.com/pion/rtcp"
)

// reportEvery is how often a medium's sender report goes out; before each unit for
// reportsFor after a reader joined.
const (
	reportEvery = 2 * time.Second
	reportsFor  = time.Second
)

// report sends one medium's report (RFC 3550 section 6.4.1): what a timestamp
// is on the encoder's own, perhaps wrong, wall clock.
func (s *Stream) report(m *medium, timestamp uint32, wall time.Time) {
	// It fails only for a stream being closed.
	_ = s.live.stream.WritePacketRTCP(m.media, &rtcp.SenderReport{
		SSRC: m.ssrc, NTPTime: ntp.Encode(wall.Add(s.clock())), RTPTime: timestamp,
		PacketCount: m.packets, OctetCount: m.octets,
	})
}
