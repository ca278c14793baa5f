package rtspserver

import (
	"net"
	"testing"
)

func TestRTPTakesAnEvenPortAndTheNext(t *testing.T) {
	s, err := Listen("127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rtcp := s.rtcp.LocalAddr().(*net.UDPAddr).Port
	if s.RTPPort()%2 != 0 || rtcp != s.RTPPort()+1 {
		t.Errorf("RTP on %d, RTCP on %d", s.RTPPort(), rtcp)
	}
	if again, err := Listen("127.0.0.1:0", s.RTPPort()); err == nil {
		again.Close()
		t.Error("a pair in use was taken")
	}
}

func TestRefusedPairLeavesNothingOpen(t *testing.T) {
	free, err := net.Listen("tcp", "127.88.0.1:0") // where nobody else takes ports
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	if s, err := Listen(addr, 40001); err == nil {
		s.Close()
		t.Fatal("an odd port was taken")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("left open: %v", err)
	}
	l.Close()
}
