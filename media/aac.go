package media

// AudioInfo is what an AudioSpecificConfig says.
type AudioInfo struct {
	ObjectType int // 2: AAC-LC
	SampleRate int // samples per second of the core coder
	Channels   int
}

// aacRates are the sampling frequencies by index (ISO/IEC 14496-3 table 1.18).
func aacRate(index uint32) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	if int(index) < len(rates) {
		return rates[index]
	}
	return 0
}

// ParseAudioConfig reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). A
// channel configuration of 0 (told by a program config element) is refused, as
// is a sampling frequency of 0: both are *[SyntaxError].
func ParseAudioConfig(asc []byte) (AudioInfo, error) {
	r := plainBits{b: asc}
	info := AudioInfo{ObjectType: int(r.u(5))}
	if info.ObjectType == 31 {
		info.ObjectType = 32 + int(r.u(6))
	}
	if index := r.u(4); index == 15 {
		info.SampleRate = int(r.u(24))
	} else {
		info.SampleRate = aacRate(index)
	}
	channels := r.u(4)
	switch {
	case r.at > 8*len(asc):
		return AudioInfo{}, &SyntaxError{len(asc), "AudioSpecificConfig", "more bytes"}
	case info.ObjectType == 0:
		return AudioInfo{}, &SyntaxError{0, "audioObjectType", "not 0"}
	case info.SampleRate == 0 || info.SampleRate > 192000:
		return AudioInfo{}, &SyntaxError{0, "samplingFrequency", "1 to 192000"}
	case channels == 0 || channels > 7:
		return AudioInfo{}, &SyntaxError{r.at / 8, "channelConfiguration", "1 to 7"}
	}
	info.Channels = int(channels)
	if channels == 7 {
		info.Channels = 8
	}
	return info, nil
}

// plainBits reads bits without emulation prevention. Past the end it reads zeros.
type plainBits struct {
	b  []byte
	at int // in bits
}

func (r *plainBits) u(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if i := r.at / 8; i < len(r.b) {
			v |= uint32(r.b[i]>>(7-r.at%8)) & 1
		}
		r.at++
	}
	return v
}

// aacSamples is how many samples an AAC frame codes (ISO/IEC 14496-3 §4.5.2.1.1;
// the variant of 960 is not used in surveillance).
const aacSamples = 1024

// The AU header of RFC 3640 mode AAC-hbr (§3.3.6): 13 bits of size, 3 of index.
const aacHeaderBits = 16

// aacHeaders reads the AU headers that begin an RTP payload (RFC 3640 §3.2.1):
// how many there are and where the data begins.
func aacHeaders(b []byte) (count, data int, err error) {
	if len(b) < 2 {
		return 0, 0, &SyntaxError{len(b), "AU-headers-length", "2 bytes"}
	}
	n := int(b[0])<<8 | int(b[1])
	switch {
	case n == 0 || n%aacHeaderBits != 0:
		return 0, 0, &SyntaxError{0, "AU-headers-length", "a multiple of 16 bits"}
	case 2+n/8 > len(b):
		return 0, 0, &SyntaxError{0, "AU-headers-length", "no more than the payload"}
	}
	return n / aacHeaderBits, 2 + n/8, nil
}

// aacSize returns the size in bytes that AU header i of payload b tells.
func aacSize(b []byte, i int) int { return int(b[2+2*i])<<5 | int(b[3+2*i])>>3 }

// audioFrames returns how long n AAC frames last, n ≤ 2¹⁶.
func audioFrames(n, rate int) Ticks {
	return Ticks(int64(n) * aacSamples * TicksPerSecond / int64(max(rate, 1)))
}

// An aacRun follows the access unit that several RTP packets may carry in
// fragments (RFC 3640 §3.2.3).
type aacRun struct{ need, have int }

// complete takes the next packet's payload and reports whether no more is to
// come. Senders that never set the marker are common.
func (r *aacRun) complete(b []byte) bool {
	count, data, err := aacHeaders(b)
	if err != nil {
		return true
	}
	if r.need == 0 {
		for i := range count {
			r.need += aacSize(b, i)
		}
	}
	r.have += len(b) - data
	return r.have >= r.need
}
