package manscdp

// A Version is the edition of GB/T 28181 a peer speaks; it decides which fields
// Encode writes and where. Decode needs none: it reads every edition.
type Version uint8

// The editions. An unknown peer is taken for 2016, the zero value.
const (
	Version2016 Version = iota // X-GB-Ver 2.0; also a peer that announced nothing
	Version2011                // X-GB-Ver 1.0 and 1.1: 2011 and its amendment
	Version2022                // X-GB-Ver 3.0
)

// ParseVersion reads the header X-GB-Ver (2022 Annex I). A later edition than we
// know is treated as 2022, an absent or unreadable header as 2016.
func ParseVersion(header string) Version {
	switch {
	case len(header) < 2 || header[1] != '.' || header[0] < '1' || header[0] > '9':
		return Version2016
	case header[0] == '1':
		return Version2011
	case header[0] == '2':
		return Version2016
	}
	return Version2022
}

// String returns the X-GB-Ver text of the edition (2022 Annex I).
func (v Version) String() string {
	switch v {
	case Version2011:
		return "1.1"
	case Version2022:
		return "3.0"
	}
	return "2.0"
}

// A Profile is how to write for one peer. Its zero value suits an unknown one:
// the 2016 edition in GB2312.
type Profile struct {
	Version Version
	Charset Charset // Auto: GB18030 for 2022, GB2312 before
}

// charset resolves Auto.
func (p Profile) charset() Charset {
	switch {
	case p.Charset != Auto:
		return p.Charset
	case p.Version == Version2022:
		return GB18030
	}
	return GB2312
}
