package sip

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// A rawPeer speaks as it likes: the text of a test is what goes out.
type rawPeer struct {
	t    *testing.T
	w    *world
	sock *memPacket
	seq  int
}

func newRawPeer(t *testing.T, w *world, at string) *rawPeer {
	sock, _ := w.net.packet(netipAt(at))
	t.Cleanup(func() { sock.Close() })
	return &rawPeer{t: t, w: w, sock: sock}
}

// say sends a message to the city and returns the answer, or "" if there is none.
func (p *rawPeer) say(msg string) string {
	p.t.Helper()
	p.seq++
	msg = strings.ReplaceAll(msg, "{n}", fmt.Sprint(p.seq))
	p.sock.WriteTo([]byte(msg), net.UDPAddrFromAddrPort(p.w.upAt))
	synctest.Wait()
	for {
		select {
		case d := <-p.sock.in:
			if !strings.HasPrefix(string(d.data), "SIP/2.0 100") {
				return string(d.data)
			}
		default:
			return ""
		}
	}
}

func (p *rawPeer) status(msg string) string {
	p.t.Helper()
	line, _, _ := strings.Cut(p.say(msg), "\r\n")
	return strings.TrimPrefix(line, "SIP/2.0 ")
}

const rawHead = "Via: SIP/2.0/UDP 10.0.0.7:5060;rport;branch=z9hG4bKraw{n}\r\n" +
	"From: <sip:33010300002000000001@3301030000>;tag=r{n}\r\nTo: <sip:33010000002000000001@3301000000>\r\n" +
	"Call-ID: raw{n}\r\nMax-Forwards: 70\r\n"

func rawRegister(extra string) string {
	return "REGISTER sip:33010000002000000001@3301000000 SIP/2.0\r\n" + rawHead + "CSeq: 1 REGISTER\r\n" +
		"Contact: <sip:33010300002000000001@10.0.0.7:5060>\r\n" + extra + "\r\n"
}

// credentials answers the challenge of a 401.
func credentials(t *testing.T, res, pass string, set map[string]string) string {
	t.Helper()
	_, value, ok := strings.Cut(res, "WWW-Authenticate: ")
	value, _, _ = strings.Cut(value, "\r\n")
	c, err := parseDigest(value)
	if !ok || err != nil {
		t.Fatalf("no challenge in %q", res)
	}
	p := map[string]string{"username": string(other), "realm": c["realm"], "nonce": c["nonce"],
		"uri": "sip:33010000002000000001@3301000000"}
	for k, v := range set {
		p[k] = v
	}
	h, _ := newHash(p["algorithm"])
	p["response"] = response(h, p, "REGISTER", pass)
	var b strings.Builder
	for k, v := range p {
		switch k {
		case "nc", "qop", "algorithm":
			fmt.Fprintf(&b, ", %s=%s", k, v)
		default:
			fmt.Fprintf(&b, ", %s=%q", k, v)
		}
	}
	return "Authorization: Digest " + b.String()[2:] + "\r\n"
}

func (p *rawPeer) enrol() {
	p.t.Helper()
	res := p.say(rawRegister("Expires: 3600\r\n"))
	if got := p.status(rawRegister("Expires: 3600\r\n" + credentials(p.t, res, "x", nil))); got != "200 OK" {
		p.t.Fatalf("register: %s", got)
	}
}

func withRaw(t *testing.T, f func(t *testing.T, w *world, p *rawPeer)) {
	inWorld(t, "udp", func(t *testing.T, w *world) { f(t, w, newRawPeer(t, w, "10.0.0.7:5060")) })
}

func TestChallengeIsOneThatEveryProductAnswers(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		res := p.say(rawRegister("Expires: 3600\r\n"))
		for _, want := range []string{"SIP/2.0 401 Unauthorized\r\n", `WWW-Authenticate: Digest realm="3301000000",nonce="`,
			`qop="auth",algorithm=MD5`, "X-GB-Ver: 3.0", ";tag="} {
			if !strings.Contains(res, want) {
				t.Errorf("no %q in\n%s", want, res)
			}
		}
		if strings.Count(res, "WWW-Authenticate") != 1 || strings.Contains(res, "stale") {
			t.Error(res)
		}
		if s := w.up.Stats(); s.Serving != 0 || s.Received != 0 {
			t.Errorf("a transaction for a stranger: %+v", s)
		}
	})
}

func TestRegisterDigestForms(t *testing.T) {
	for name, tc := range map[string]struct {
		pass, extra string
		set         map[string]string
		want        string
	}{
		"without qop":         {"x", "Expires: 3600\r\n", nil, "200 OK"},
		"qop":                 {"x", "Expires: 3600\r\n", map[string]string{"qop": "auth", "nc": "00000001", "cnonce": "0a4f"}, "200 OK"},
		"nc in lower case":    {"x", "Expires: 3600\r\n", map[string]string{"qop": "auth", "nc": "0000000a", "cnonce": "0a4f"}, "200 OK"},
		"short nc":            {"x", "Expires: 3600\r\n", map[string]string{"qop": "auth", "nc": "1", "cnonce": "0a4f"}, "200 OK"},
		"other uri":           {"x", "Expires: 3600\r\n", map[string]string{"uri": "sip:33010000002000000001@10.0.0.1:5060"}, "200 OK"},
		"SHA-256 unasked":     {"x", "Expires: 3600\r\n", map[string]string{"algorithm": "SHA-256"}, "200 OK"},
		"algorithm in lower":  {"x", "Expires: 3600\r\n", map[string]string{"algorithm": "md5"}, "200 OK"},
		"wrong password":      {"y", "Expires: 3600\r\n", nil, "403 Forbidden"},
		"other user":          {"x", "Expires: 3600\r\n", map[string]string{"username": string(district)}, "403 Forbidden"},
		"auth-int":            {"x", "Expires: 3600\r\n", map[string]string{"qop": "auth-int", "nc": "00000001", "cnonce": "0"}, "403 Forbidden"},
		"nonce of nobody":     {"x", "Expires: 3600\r\n", map[string]string{"nonce": "6f1c2d9a4be84c10b7a3e5d2f0918c77"}, "401 Unauthorized"},
		"nc that is none":     {"x", "Expires: 3600\r\n", map[string]string{"qop": "auth", "nc": "zz", "cnonce": "0"}, "401 Unauthorized"},
		"expires in contact":  {"x", "m: <sip:33010300002000000001@10.0.0.7>;expires=600\r\n", nil, "200 OK"},
		"no expires":          {"x", "", nil, "400 Bad Request"},
		"expires that is not": {"x", "Expires: soon\r\n", nil, "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
				res := p.say(rawRegister(tc.extra))
				if got := p.status(rawRegister(tc.extra + credentials(t, res, tc.pass, tc.set))); got != tc.want {
					t.Errorf("%s, want %s", got, tc.want)
				}
			})
		})
	}
}

func TestRegistrationAnswerIsInBeijingTime(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		res := p.say(rawRegister("Expires: 3600\r\n"))
		res = p.say(rawRegister("Expires: 3600\r\n" + credentials(t, res, "x", nil)))
		want := "Date: " + time.Now().UTC().Add(8*time.Hour).Format("2006-01-02T15:04:05.000") + "\r\n"
		if !strings.Contains(res, want) || !strings.Contains(res, "Expires: 3600\r\n") {
			t.Errorf("no %q in\n%s", want, res)
		}
	})
}

func TestOldNonceIsStaleAndUsedAnswerIsNoGood(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		auth := credentials(t, p.say(rawRegister("Expires: 3600\r\n")), "x", nil)
		first := rawRegister("Expires: 3600\r\n" + auth)
		if got := p.status(first); got != "200 OK" {
			t.Fatal(got)
		}
		if res := p.say(first); !strings.HasPrefix(res, "SIP/2.0 401") || !strings.Contains(res, "stale=true") {
			t.Errorf("replayed: %s", res)
		}
		auth = credentials(t, p.say(rawRegister("Expires: 3600\r\n")), "x", nil)
		time.Sleep(nonceLife)
		if res := p.say(rawRegister("Expires: 3600\r\n" + auth)); !strings.HasPrefix(res, "SIP/2.0 401") || !strings.Contains(res, "stale=true") {
			t.Errorf("late: %s", res)
		}
	})
}

func TestNonceOfAnotherHostIsNoGood(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		thief := newRawPeer(t, w, "10.0.0.8:5060")
		auth := credentials(t, p.say(rawRegister("Expires: 3600\r\n")), "x", nil)
		if got := thief.status(rawRegister("Expires: 3600\r\n" + auth)); got != "401 Unauthorized" {
			t.Error(got)
		}
	})
}

func TestStrangersAreTurnedAwayWithoutState(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		for method, want := range map[string]string{"MESSAGE": "403 Forbidden", "INVITE": "403 Forbidden", "BYE": "403 Forbidden",
			"OPTIONS": "200 OK", "ACK": ""} {
			msg := method + " sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 " + method + "\r\n\r\n"
			if got := p.status(msg); got != want {
				t.Errorf("%s: %q", method, got)
			}
		}
		if s := w.up.Stats(); s.Serving != 0 || s.Received != 0 {
			t.Errorf("%+v", s)
		}
		for range strangerBurst {
			p.sock.WriteTo([]byte(strings.ReplaceAll(rawRegister(""), "{n}", "x")), net.UDPAddrFromAddrPort(w.upAt))
		}
		synctest.Wait()
		if s := w.up.Stats(); s.Limited != 5 || s.Challenged != strangerBurst-5 {
			t.Errorf("%+v", s)
		}
	})
}

// keepaliveText is a heartbeat as it stands in the standard, in pieces to be spoilt.
func keepaliveText(start, head, body string) string {
	if start == "" {
		start = "MESSAGE sip:33010000002000000001@10.0.0.1:5060 SIP/2.0"
	}
	if body == "" {
		body = "<?xml version=\"1.0\" encoding=\"GB18030\"?>\r\n<Notify><CmdType>Keepalive</CmdType><SN>1</SN>" +
			"<DeviceID>33010300002000000001</DeviceID><Status>OK</Status></Notify>"
	}
	return start + "\r\n" + rawHead + "CSeq: 7 MESSAGE\r\nContent-Type: Application/MANSCDP+xml\r\n" + head + "\r\n" + body
}

// sloppy are messages that peers send, and the status they get once registered.
var sloppy = map[string]struct{ msg, want string }{
	"as the standard has it":      {keepaliveText("", "", ""), "200 OK"},
	"LF only":                     {strings.ReplaceAll(keepaliveText("", "", ""), "\r\n", "\n"), "200 OK"},
	"lower-case headers":          {strings.NewReplacer("Via:", "via:", "From:", "from:", "Call-ID:", "call-id:", "CSeq:", "cseq:").Replace(keepaliveText("", "", "")), "200 OK"},
	"compact headers":             {strings.NewReplacer("Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "Content-Type:", "c:").Replace(keepaliveText("", "", "")), "200 OK"},
	"Content-Length too large":    {keepaliveText("", "Content-Length: 4000\r\n", ""), "200 OK"},
	"Content-Length negative":     {keepaliveText("", "Content-Length: -1\r\n", ""), "200 OK"},
	"Content-Length empty":        {keepaliveText("", "Content-Length:\r\n", ""), "200 OK"},
	"line without colon":          {keepaliveText("", "rubbish\r\n", ""), "200 OK"},
	"blanks after the start line": {keepaliveText("MESSAGE sip:33010000002000000001@10.0.0.1 SIP/2.0  ", "", ""), "200 OK"},
	"blank lines before":          {"\r\n\r\n" + keepaliveText("", "", ""), "200 OK"},
	"NUL behind":                  {keepaliveText("", "", "") + "\x00\x00", "200 OK"},
	"lower-case method in CSeq":   {strings.Replace(keepaliveText("", "", ""), "7 MESSAGE", "7 message", 1), "200 OK"},
	"no brackets, no tag":         {strings.Replace(keepaliveText("", "", ""), "<sip:33010300002000000001@3301030000>;tag=r{n}", "sip:33010300002000000001@3301030000", 1), "200 OK"},
	"GBK in display name":         {strings.Replace(keepaliveText("", "", ""), "From: ", "From: \"\xb9\xab\xb0\xb2\" ", 1), "200 OK"},
	"status ON":                   {keepaliveText("", "", "<Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>33010300002000000001</DeviceID><Status>ON</Status></Notify>"), "200 OK"},
	"element names in lower case": {keepaliveText("", "", "<notify><cmdtype>keepalive</cmdtype><sn>1</sn><deviceid>33010300002000000001</deviceid></notify>"), "200 OK"},
	"unbalanced end":              {keepaliveText("", "", "<Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>33010300002000000001</DeviceID>"), "200 OK"},
	"NOTIFY instead":              {strings.NewReplacer("MESSAGE sip", "NOTIFY sip", "7 MESSAGE", "7 NOTIFY").Replace(keepaliveText("", "", "")), "200 OK"},
	"empty NOTIFY":                {"NOTIFY sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 NOTIFY\r\nSubscription-State: terminated\r\n\r\n", "200 OK"},
	"alarm":                       {keepaliveText("", "", "<Notify><CmdType>Alarm</CmdType><SN>5</SN><DeviceID>33010300001340000001</DeviceID></Notify>"), "200 OK"},
	"command of a later edition":  {keepaliveText("", "", "<Notify><CmdType>Brandnew</CmdType><SN>5</SN><DeviceID>33010300001340000001</DeviceID></Notify>"), "200 OK"},
	"media status 122":            {keepaliveText("", "", "<Notify><CmdType>MediaStatus</CmdType><SN>5</SN><DeviceID>33010300001320000001</DeviceID><NotifyType>122</NotifyType></Notify>"), "200 OK"},
	"XML cut short":               {keepaliveText("", "", "<Notify><CmdType>Keep"), "400 Bad Request"},
	"no XML":                      {keepaliveText("", "", "PLAY RTSP/1.0\r\n"), "400 Bad Request"},
	"entities":                    {keepaliveText("", "", "<!DOCTYPE x [<!ENTITY a \"b\">]><Notify><CmdType>Keepalive</CmdType></Notify>"), "400 Bad Request"},
	"id of 19 digits":             {keepaliveText("", "", "<Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>3301030000200000000</DeviceID></Notify>"), "400 Bad Request"},
	"SN that is none":             {keepaliveText("", "", "<Query><CmdType>Catalog</CmdType><SN>x</SN><DeviceID>33010300002000000001</DeviceID></Query>"), "400 Bad Request"},
	"query without a range":       {keepaliveText("", "", "<Query><CmdType>RecordInfo</CmdType><SN>2</SN><DeviceID>33010300001320000001</DeviceID></Query>"), "400 Bad Request"},
	"From of 19 digits":           {strings.Replace(keepaliveText("", "", ""), "sip:33010300002000000001@", "sip:3301030000200000000@", 1), "400 Bad Request"},
	"CSeq of another method":      {strings.Replace(keepaliveText("", "", ""), "7 MESSAGE", "7 INFO", 1), "400 Bad Request"},
	"no To":                       {strings.Replace(keepaliveText("", "", ""), "To: <sip:33010000002000000001@3301000000>\r\n", "", 1), "400 Bad Request"},
	"unknown method":              {"PUBLISH sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 PUBLISH\r\n\r\n", "405 Method Not Allowed"},
	"OPTIONS":                     {"OPTIONS sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 OPTIONS\r\n\r\n", "200 OK"},
	"BYE of no dialog":            {"BYE sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 BYE\r\n\r\n", "481 Call/Transaction Does Not Exist"},
	"INFO of no dialog":           {"INFO sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 INFO\r\n\r\n", "481 Call/Transaction Does Not Exist"},
	"CANCEL of no INVITE":         {"CANCEL sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 CANCEL\r\n\r\n", "481 Call/Transaction Does Not Exist"},
	"stray ACK":                   {"ACK sip:33010000002000000001@10.0.0.1 SIP/2.0\r\n" + rawHead + "CSeq: 1 ACK\r\n\r\n", ""},
	"no SIP":                      {"GET / HTTP/1.1\r\n\r\n", ""},
	"keeps a NAT open":            {"\r\n\r\n", ""},
	"four bytes":                  {"\x00\x00\x00\x00", ""},
	"headers without an end":      {"MESSAGE sip:a@b SIP/2.0\r\nX: " + strings.Repeat("y", maxHead), ""},
}

func TestSloppyMessagesOfARegisteredPeer(t *testing.T) {
	for name, tc := range sloppy {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
				p.enrol()
				if got := p.status(tc.msg); got != tc.want && (len(got) < 3 || !strings.HasPrefix(tc.want, got[:3])) {
					t.Errorf("%q, want %q", got, tc.want)
				}
				if got := p.status(keepaliveText("", "", "")); got != "200 OK" {
					t.Errorf("afterwards %q", got)
				}
			})
		})
	}
}

func TestClearReasonsForRefusals(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		res := p.say(sloppy["id of 19 digits"].msg)
		for _, want := range []string{"X-District-Level: " + string(city), `Warning: 399 ` + string(city) + ` "DeviceID: want 20 digits`} {
			if !strings.Contains(res, want) {
				t.Errorf("no %q in\n%s", want, res)
			}
		}
	})
}

func TestMessageUnderAnotherIDIsNotProved(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		p.say(strings.Replace(keepaliveText("", "", ""), "sip:33010300002000000001@", "sip:33010200002000000001@", 1))
		if in := expect[domain.KeepaliveIn](w.up); in.Origin.Proved || in.Origin.From != district {
			t.Errorf("%+v", in)
		}
	})
}

func TestNewPortBehindANATIsFollowed(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		moved := newRawPeer(t, w, "10.0.0.7:40123")
		moved.seq = 100
		if got := moved.status(keepaliveText("", "", "")); got != "200 OK" {
			t.Fatal(got)
		}
		n, _ := w.up.book.find(domain.PeerRef{Code: other, Role: domain.Lower})
		if n.at.String() != "udp:10.0.0.7:40123" {
			t.Error(n.at)
		}
	})
}

func TestOvertakenDeregistrationChangesNothing(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		fixed := func(s string, cseq string) string {
			return strings.NewReplacer("Call-ID: raw{n}", "Call-ID: fixed", "CSeq: 1 ", "CSeq: "+cseq+" ").Replace(s)
		}
		res := p.say(rawRegister("Expires: 3600\r\n"))
		late := fixed(rawRegister("Expires: 0\r\n"+credentials(t, res, "x", nil)), "4")
		res = p.say(rawRegister("Expires: 3600\r\n"))
		if got := p.status(fixed(rawRegister("Expires: 3600\r\n"+credentials(t, res, "x", nil)), "6")); got != "200 OK" {
			t.Fatal(got)
		}
		if got := p.status(late); got != "400 Bad Request" {
			t.Error(got)
		}
		if n, _ := w.up.book.find(domain.PeerRef{Code: other, Role: domain.Lower}); !n.at.addr.IsValid() {
			t.Error("deregistered")
		}
	})
}

func rawInvite(head, sdp string) string {
	return "INVITE sip:33010000001320000009@10.0.0.1:5060 SIP/2.0\r\n" +
		strings.Replace(rawHead, "sip:33010000002000000001@3301000000", "sip:33010000001320000009@3301000000", 1) +
		"CSeq: 1 INVITE\r\nContact: <sip:33010300002000000001@0.0.0.0:5060>\r\n" + head + "Content-Type: APPLICATION/SDP\r\n\r\n" + sdp
}

const plainSDP = "v=0\r\ns=play\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=video 30000 RTP/AVP 96\r\n"

func TestRetransmittedInviteIsOneCall(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		msg := strings.ReplaceAll(rawInvite("", plainSDP), "{n}", "same")
		for range 3 {
			p.say(msg)
		}
		in := expect[domain.InviteIn](w.up)
		if in.Channel != "33010000001320000009" || in.Offer.SSRC != 0 {
			t.Errorf("%+v", in)
		}
		if got := p.status(strings.Replace(msg, "z9hG4bKrawsame", "z9hG4bKother", 1)); got != "482 Loop Detected" {
			t.Errorf("by another way: %q", got)
		}
		quiet[domain.InviteIn](w.up)
		w.up.Answer(domain.RefuseInvite{Dialog: in.Dialog, Err: domain.ErrBusy})
	})
}

func TestAckWithTheBranchOfTheInvite(t *testing.T) { // and BYE with wrong tags: seen in the field
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		invite := strings.ReplaceAll(rawInvite("Subject: 33010000001320000009:0100000001,33010300002000000001:1\r\n", plainSDP), "{n}", "same")
		p.say(invite)
		in := expect[domain.InviteIn](w.up)
		w.up.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answerEndpoint})
		ack := strings.Replace(strings.Replace(strings.Split(invite, "Contact:")[0], "INVITE sip", "ACK sip", 1), "1 INVITE", "1 ACK", 1) + "\r\n"
		for range 5 {
			p.say(ack)
		}
		if a := expect[domain.AckIn](w.up); a.Dialog != in.Dialog {
			t.Errorf("%+v", a)
		}
		quiet[domain.AckIn](w.up)
		bye := strings.NewReplacer("INVITE sip", "BYE sip", "1 INVITE", "2 BYE", "rawsame;", "bye;", "tag=rsame", "tag=wrong").
			Replace(strings.Split(invite, "Contact:")[0]) + "\r\n"
		if got := p.status(strings.Replace(bye, "branch=z9hG4bKrawsame", "branch=z9hG4bKbye", 1)); got != "200 OK" {
			t.Errorf("BYE: %q", got)
		}
		expect[domain.ByeIn](w.up)
	})
}

func TestChannelIsFoundWhereverItStands(t *testing.T) {
	self := "33010000002000000001"
	for name, tc := range map[string]struct{ msg, want string }{
		"To":      {rawInvite("", plainSDP), "33010000001320000009"},
		"Subject": {strings.ReplaceAll(rawInvite("Subject: 33010000001310000005:0,x:0\r\n", plainSDP), "33010000001320000009", self), "33010000001310000005"},
		"u=": {strings.ReplaceAll(rawInvite("", "v=0\nu=33010000001310000006:0\ns=Playback\nc=IN IP4 1.2.3.4\nt=1772323200 1772326800\nm=video 1 RTP/AVP 96\n"),
			"33010000001320000009", self), "33010000001310000006"},
	} {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
				p.enrol()
				p.say(tc.msg)
				in := expect[domain.InviteIn](w.up)
				if in.Channel != domain.Code(tc.want) {
					t.Errorf("%s", in.Channel)
				}
				w.up.Answer(domain.RefuseInvite{Dialog: in.Dialog, Err: domain.ErrNoChannel})
			})
		})
	}
}

func TestBadInvitesAreRefusedWithAReason(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		for name, msg := range map[string]string{
			"no channel": strings.ReplaceAll(rawInvite("", plainSDP), "33010000001320000009", "33010000002000000001"),
			"no SDP":     rawInvite("", ""),
			"no range":   rawInvite("", strings.Replace(plainSDP, "play", "Playback", 1)),
			"no address": rawInvite("", strings.Replace(plainSDP, "10.0.0.7", "camera.example", 1)),
		} {
			if res := p.say(msg); !strings.HasPrefix(res, "SIP/2.0 400 ") || !strings.Contains(res, "want") {
				t.Errorf("%s: %q", name, res)
			}
		}
		quiet[domain.InviteIn](w.up)
	})
}

func TestForgottenInviteIsAnsweredAtLast(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		p.say(rawInvite("", plainSDP))
		in := expect[domain.InviteIn](w.up)
		time.Sleep(stillborn)
		if c := expect[domain.CancelIn](w.up); c.Dialog != in.Dialog {
			t.Errorf("%+v", c)
		}
	})
}

func TestUnservedCommandsAreAnsweredAsTheStandardWants(t *testing.T) {
	for name, tc := range map[string]struct {
		body, status string
		response     bool
	}{
		"preset query":  {"<Query><CmdType>PresetQuery</CmdType><SN>405</SN><DeviceID>33010300001320000001</DeviceID></Query>", "200 OK", true},
		"later query":   {"<Query><CmdType>Brandnew</CmdType><SN>405</SN><DeviceID>33010300001320000001</DeviceID></Query>", "200 OK", true},
		"guard":         {"<Control><CmdType>DeviceControl</CmdType><SN>405</SN><DeviceID>33010300001320000001</DeviceID><GuardCmd>SetGuard</GuardCmd></Control>", "200 OK", true},
		"drag zoom":     {"<Control><CmdType>DeviceControl</CmdType><SN>405</SN><DeviceID>33010300001320000001</DeviceID><DragZoomIn><Length>4</Length><Width>3</Width><MidPointX>2</MidPointX><MidPointY>1</MidPointY><LengthX>1</LengthX><LengthY>1</LengthY></DragZoomIn></Control>", "200 OK", false},
		"late response": {"<Response><CmdType>Alarm</CmdType><SN>405</SN><DeviceID>33010300001320000001</DeviceID><Result>OK</Result></Response>", "200 OK", false},
	} {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
				p.enrol()
				if got := p.status(keepaliveText("", "", tc.body)); got != tc.status {
					t.Fatal(got)
				}
				time.Sleep(time.Second) // a lost first copy comes again
				var got string
				for len(p.sock.in) > 0 {
					got = string((<-p.sock.in).data)
				}
				if has := strings.Contains(got, "<Result>ERROR</Result>") && strings.Contains(got, "<SN>405</SN>"); has != tc.response {
					t.Errorf("response %v: %q", has, got)
				}
			})
		})
	}
}

// TestKeyFrameIsAskedForWithoutAResponse: the command travels as the standard has it, is
// answered by 200 or a refusal, and by no message (GB/T 28181-2022 A.2.3.1).
func TestKeyFrameIsAskedForWithoutAResponse(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			before := w.up.Stats().Received
			for _, refusal := range []error{nil, domain.ErrNoChannel} {
				w.down.script(func(s *station, ev domain.Event) {
					if in, ok := ev.(domain.KeyFrameIn); ok {
						s.Answer(domain.Reply{Ref: in.Ref, Err: refusal})
					}
				})
				a := w.up.answer(func(tag domain.Tag) domain.Effect {
					return domain.AskKeyFrame{Tag: tag, Peer: lowerRef(), SN: 77, Channel: camera}
				})
				in := expect[domain.KeyFrameIn](w.down)
				if want := map[bool]int{true: 200, false: 404}[refusal == nil]; a.Status != want || in.Target != domain.NodeID(camera) || in.Origin.From != city {
					t.Errorf("answered %d, want %d: %+v", a.Status, want, in)
				}
			}
			time.Sleep(time.Minute)
			if got := w.up.Stats().Received - before; got != 0 {
				t.Errorf("%d messages came back", got)
			}
		})
	})
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		for _, name := range []string{"IFrameCmd", "IFameCmd"} {
			got := p.status(keepaliveText("", "", "<Control><CmdType>DeviceControl</CmdType><SN>405</SN><DeviceID>33010300001320000001</DeviceID><"+
				name+">Send</"+name+"></Control>"))
			if in := expect[domain.KeyFrameIn](w.up); got != "200 OK" || in.Target != "33010300001320000001" {
				t.Errorf("%s: %s, %+v", name, got, in)
			}
		}
	})
}

// FuzzInbound lets a registered peer send anything: nothing panics, and the next
// honest message is answered.
func FuzzInbound(f *testing.F) {
	for _, tc := range sloppy {
		f.Add([]byte(tc.msg))
	}
	for _, tc := range subscribes {
		f.Add([]byte(tc.msg))
	}
	for _, state := range states {
		f.Add([]byte(rawNotify(state.header)))
	}
	f.Add([]byte(rawInvite("Subject: a:b,c:d\r\n", plainSDP)))
	for _, tc := range recordQueries {
		f.Add([]byte(keepaliveText("", headerAsker+": "+deskParty.ID+"\r\n", recordBody(tc.body))))
	}
	f.Add([]byte(keepaliveText("", "", "<Response><CmdType>RecordInfo</CmdType><SN>1</SN><DeviceID>33010200001320000001</DeviceID><ExtraInfo>"+
		extraOf(deskParty.ID, city)[0]+"</ExtraInfo></Response>")))
	for _, tc := range cameraCommands {
		f.Add([]byte(keepaliveText("", tc.head, tc.body)))
	}
	f.Add([]byte(rawRegister("Authorization: Digest username=\"\r\n")))
	tr, err := New(Config{Self: city, Listen: netipAt("127.0.0.1:0"), Peers: cityConfig(netipAt("127.0.0.1:0")).Peers,
		Post:  func(domain.Event) bool { return true },
		Links: []domain.Link{{Peer: other, Role: domain.Lower, Address: "udp:10.0.0.7:5060", Expires: time.Now().Add(time.Hour)}}})
	if err != nil {
		f.Fatal(err)
	}
	at := place{"UDP", netipAt("10.0.0.7:5060")}
	stranger := place{"TCP", netipAt("10.0.0.8:5060")}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, from := range []place{at, stranger} {
			msg, ok := tr.gate.admit(append([]byte(nil), raw...), visit{from, func([]byte) error { return nil }})
			if !ok {
				continue
			}
			parsed, err := tr.gate.parser.ParseSIP(msg)
			if err != nil {
				continue
			}
			req, ok := parsed.(*stack.Request)
			if !ok {
				continue
			}
			req.SetTransport(from.network)
			req.SetSource(from.addr.String())
			r := &request{Request: req}
			if tr.identify(r) != nil {
				continue
			}
			if in, _, err := tr.readInvite(r); err == nil && len(in.Channel) != 20 {
				t.Errorf("channel %q", in.Channel)
			}
			inspect(t, tr, r)
		}
	})
}

// inspect runs what reads a request without answering it.
func inspect(t *testing.T, tr *Transceiver, r *request) {
	if m, err := manscdp.Decode(r.Body()); err == nil {
		if event, err := tr.translate(r, m); err == nil && event != nil {
			if in, ok := event(1).(domain.PTZIn); ok && (!in.Command.Valid() || in.Hold > mostHold || len(in.Asker) > mostAsker || strings.ContainsAny(in.Asker, "\r\n")) {
				t.Errorf("%+v", in)
			}
		}
	}
	parseMANSRTSP(r.Body())
	expiresOf(r.Request)
	if s := tr.newSubscription(r); strings.ContainsAny(s.event, "\r\n") || len(s.event) > maxEvent {
		t.Errorf("event %q", s.event)
	}
	catalogEvent(eventHeader(r.Request))
	if _, after := subscriptionState(header(r, "Subscription-State")); after < 0 {
		t.Errorf("retry after %v", after)
	}
	parseDigest(header(r, "Authorization"))
	if reason := reasonOf(r); strings.ContainsAny(reason, "\r\n") {
		t.Errorf("reason %q", reason)
	}
	new(call).agree(r.Request, r.at, tr.book.knows)
	if res := tr.response(r, 400, string(r.Body())).String(); strings.Count(res, "\r\n\r\n") != 1 {
		t.Errorf("response %q", res)
	}
}
