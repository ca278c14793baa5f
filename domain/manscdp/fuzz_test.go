package manscdp

import (
	"bytes"
	"errors"
	"testing"
)

func checkSyntaxError(t *testing.T, err error, size int) {
	t.Helper()
	se, ok := errors.AsType[*SyntaxError](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	if se.Offset < 0 || se.Offset > size || se.Want == "" {
		t.Fatalf("%+v for %d bytes", se, size)
	}
}

// FuzzDecode: nothing panics, every error has an offset inside the input, and what
// was understood is written and read again without change.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(v.body))
	}
	for _, c := range dirtyCases {
		f.Add([]byte(c.body))
	}
	for _, b := range bombs {
		if len(b.body) < 4096 {
			f.Add([]byte(b.body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Decode(body)
		if err != nil {
			checkSyntaxError(t, err, len(body))
			return
		}
		for _, p := range []Profile{{Version2022, GB18030}, {Version2016, UTF8}} {
			checkStable(t, m, p)
		}
	})
}

// checkStable writes m, reads that, writes it again: both bodies must be the same.
func checkStable(t *testing.T, m Message, p Profile) {
	t.Helper()
	first, err := Encode(m, p)
	for _, allowed := range []error{ErrNoCommand, ErrTooLarge, ErrFlatPosition} {
		if errors.Is(err, allowed) {
			return
		}
	}
	if err != nil {
		t.Fatalf("%T read but not written: %v", m, err)
	}
	again, err := DecodeAs(first, p.Charset)
	if err != nil {
		t.Fatalf("%T written but not read: %v\n%q", m, err, first)
	}
	if d := again.Header().Damage; d.Tags > 0 || d.Items > 0 {
		t.Fatalf("%T written damaged: %+v\n%q", m, d, first)
	}
	second, err := Encode(again, p)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%T changed: %v\n%q\n%q", m, err, first, second)
	}
}

// FuzzParsePTZ: nothing panics and what was understood is written and read again
// without change.
func FuzzParsePTZ(f *testing.F) {
	for _, c := range ptzCases {
		f.Add(c.hex)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, _, err := ParsePTZ(s)
		if err != nil {
			checkSyntaxError(t, err, len(s))
			return
		}
		if !p.Valid() {
			t.Fatalf("%q: %+v is out of bounds", s, p)
		}
		if again, _, err := ParsePTZ(FormatPTZ(p)); err != nil || again != p {
			t.Fatalf("%q: %+v became %+v, %v", s, p, again, err)
		}
		if p.String() == "" {
			t.Fatalf("%q has no description", s)
		}
	})
}
