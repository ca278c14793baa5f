package onvif

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	idigest "github.com/icholy/digest"

	"districtgateway/media/digest"
)

const (
	fakeUser     = "admin"
	fakePassword = "p&<w>d"
)

// A fakeDevice answers SOAP requests with scripted texts. It checks what it is
// sent as a strict device does.
type fakeDevice struct {
	*httptest.Server
	t      *testing.T
	auth   string        // "", "MD5", "SHA-256", "token", "basic", or "MD5+token"
	status int           // of faults
	skew   time.Duration // of its clock
	script map[string]string
	raw    func(w http.ResponseWriter, r *http.Request) bool // true: has answered

	mu       sync.Mutex
	requests []request
	used     map[string]bool // nonce and count of each digest answer
}

// A request is one SOAP request as it arrived.
type request struct {
	Op, Path, Body string
	Token          bool
}

// newFake starts a device; parts of the script may be replaced later.
func newFake(t *testing.T, script map[string]string) *fakeDevice {
	t.Helper()
	f := &fakeDevice{t: t, status: 400, script: maps.Clone(script), used: map[string]bool{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeDevice) client(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{Address: f.URL, User: fakeUser, Password: fakePassword, Endpoint: "urn:uuid:E1"}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// log returns the operations asked for so far.
func (f *fakeDevice) log() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]request(nil), f.requests...)
}

func (f *fakeDevice) ops() string {
	var b []string
	for _, r := range f.log() {
		b = append(b, r.Op)
	}
	return strings.Join(b, " ")
}

type requestXML struct {
	XMLName xml.Name `xml:"http://www.w3.org/2003/05/soap-envelope Envelope"`
	Header  struct {
		Token *struct {
			Username, Password, Nonce, Created string
		} `xml:"Security>UsernameToken"`
	}
	Body struct {
		Inner string `xml:",innerxml"`
		Any   struct {
			XMLName xml.Name
		} `xml:",any"`
	}
}

func (f *fakeDevice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // first: only then does the server notice that the client left
	if f.raw != nil && f.raw(w, r) {
		return
	}
	var x requestXML
	if err == nil {
		err = xml.Unmarshal(body, &x)
	}
	op := x.Body.Any.XMLName.Local
	if want := fmt.Sprintf("action=%q", x.Body.Any.XMLName.Space+"/"+op); err != nil || !strings.Contains(r.Header.Get("Content-Type"), want) {
		f.t.Errorf("bad request %s: %v, content type %s", body, err, r.Header.Get("Content-Type"))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, request{op, r.URL.Path, x.Body.Inner, x.Header.Token != nil})
	if op == "GetSystemDateAndTime" || f.authorized(w, r, x) {
		f.answer(w, op)
	}
}

// answer sends the scripted text, or a fault for what is not scripted.
func (f *fakeDevice) answer(w http.ResponseWriter, op string) {
	text, ok := f.script[op]
	if !ok {
		f.fault(w, "ter:ActionNotSupported")
		return
	}
	now := time.Now().Add(f.skew).UTC()
	text = strings.NewReplacer("%HOST%", strings.TrimPrefix(f.URL, "http://"),
		"%H%", fmt.Sprint(now.Hour()), "%M%", fmt.Sprint(now.Minute()), "%S%", fmt.Sprint(now.Second()),
		"%Y%", fmt.Sprint(now.Year()), "%O%", fmt.Sprint(int(now.Month())), "%D%", fmt.Sprint(now.Day())).Replace(text)
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	io.WriteString(w, text)
}

func (f *fakeDevice) fault(w http.ResponseWriter, subcode string) {
	w.WriteHeader(f.status)
	fmt.Fprintf(w, faultText, subcode)
}

const faultText = `<?xml version="1.0"?><env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:ter="http://www.onvif.org/ver10/error">
<env:Body><env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>%s</env:Value></env:Subcode></env:Code>
<env:Reason><env:Text xml:lang="en">go away</env:Text></env:Reason></env:Fault></env:Body></env:Envelope>`

// authorized checks the request's user and answers itself if it is not good.
func (f *fakeDevice) authorized(w http.ResponseWriter, r *http.Request, x requestXML) bool {
	algorithm, token, _ := strings.Cut(f.auth, "+")
	switch algorithm {
	case "MD5", "SHA-256":
		if !f.digestGood(r, algorithm) {
			w.Header().Add("WWW-Authenticate", `Basic realm="b"`)
			w.Header().Add("WWW-Authenticate", fmt.Sprintf(`Digest realm="r", qop="auth", nonce="n%d", algorithm=%s`, len(f.requests), algorithm))
			w.WriteHeader(401)
			return false
		}
	case "basic":
		w.Header().Add("WWW-Authenticate", `Basic realm="b"`)
		w.WriteHeader(401)
		return false
	case "token":
		token = "token"
	}
	if token != "" && !f.tokenGood(x) {
		f.fault(w, "ter:NotAuthorized")
		return false
	}
	return true
}

func (f *fakeDevice) digestGood(r *http.Request, algorithm string) bool {
	got, err := idigest.ParseCredentials(r.Header.Get("Authorization"))
	if err != nil {
		return false
	}
	use := fmt.Sprint(got.Nonce, got.Nc)
	want, err := idigest.Digest(&idigest.Challenge{Realm: "r", Nonce: got.Nonce, Algorithm: algorithm, QOP: []string{"auth"}},
		idigest.Options{Method: "POST", URI: r.URL.RequestURI(), Count: got.Nc, Username: fakeUser, Password: fakePassword, Cnonce: got.Cnonce})
	fresh := !f.used[use]
	f.used[use] = true
	return err == nil && fresh && got.Response == want.Response
}

func (f *fakeDevice) tokenGood(x requestXML) bool {
	k := x.Header.Token
	if k == nil || k.Username != fakeUser {
		return false
	}
	created, err := time.Parse(time.RFC3339Nano, k.Created)
	if age := time.Now().Add(f.skew).Sub(created); err != nil || age.Abs() > 10*time.Second {
		return false
	}
	nonce, err := decodeBase64(k.Nonce)
	return err == nil && k.Password == passwordDigest(nonce, k.Created, digest.Secret(fakePassword))
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.Bytes()
}
